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

// One transform group a layer, no transform, channels in their order; the ladder drops levels - 1
// bits in the base and one less at each level. Mean and scale: statistics/moments.h. Classes: a
// family of Gauss and Laplace distributions that covers what later chunks may bring, then a few
// fitted to this chunk (statistics/train_classes.h).
//
// `keys` and `values`: one view a layer, tokens.count tokens, post-RoPE. `layer_rope` indexes
// `ropes` (kNoRope: none). Same input, same profile. Fault: parameters or geometry outside the
// format's limits; else as encode_section's, the message naming layer and side.
Checked<Profile> measure_first_chunk(const Geometry& geometry, std::vector<Rope> ropes,
                                     std::vector<uint8_t> layer_rope, TokenRange tokens,
                                     DType dtype, std::span<const TensorView> keys,
                                     std::span<const TensorView> values,
                                     const FirstChunkParams& params);

}  // namespace kvcast::kernels
