// Sections of an engine's cache through the codec and back, in memory.
#pragma once

#include <vector>

#include "kernels/plane.h"
#include "manifests/result.h"
#include "tools/engine/kv_cache.h"

namespace kvcast::eval {

// Views of the first tokens of a transform group's layers.
std::vector<kernels::TensorView> views_of(const engine::KvCache& cache,
                                          const kernels::LayerGroup& group, kernels::Side side);

// Encoded from fp32.
manifests::Result<kernels::EncodedSection> encode_cache_section(const kernels::Codec& codec,
                                                                uint32_t group, kernels::Side side,
                                                                const engine::KvCache& cache,
                                                                uint32_t tokens);

// Overwrites that section of `to` with what `level` keeps of it; its sinks stay as they are.
manifests::Status decode_cache_section(const kernels::Codec& codec, uint32_t group,
                                       kernels::Side side, const kernels::EncodedSection& encoded,
                                       uint32_t level, uint32_t tokens, engine::KvCache& to);

}  // namespace kvcast::eval
