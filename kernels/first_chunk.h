// A profile without calibration: per-channel mean and scale and probability tables measured on the
// first chunk of a context, which its other chunks (and later turns) reuse. Works on any model at
// once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

struct FirstChunkParams {
  uint32_t levels = 4;
  float step = 0.2f;  // of the finest level, in standard deviations of a channel
  float rounding = 0.4f;
  uint32_t sink_tokens = 4;
};

// `keys` and `values`: one view a layer, tokens.count tokens, post-RoPE. `layer_rope` indexes
// `ropes` (kNoRope: none). Fault as encode_section's; the message names the layer and side.
Checked<Profile> measure_first_chunk(const Geometry& geometry, std::vector<Rope> ropes,
                                     std::vector<uint8_t> layer_rope, TokenRange tokens,
                                     DType dtype, std::span<const TensorView> keys,
                                     std::span<const TensorView> values,
                                     const FirstChunkParams& params);

}  // namespace kvcast::kernels
