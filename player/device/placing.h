// Rows of KV between host memory and a cache in blocks, for what kernels did not write: recomputed
// chunks and exact objects; and back, for who wants to look.
#pragma once

#include "kernels/device_runtime.h"
#include "kernels/geometry.h"
#include "player/device_sink.h"

namespace kvcast::player {

// A cache that kernels and copies can trust: as many layers as the shape has, and a place for
// every token inside them.
manifests::Status check_cache(const DeviceCache& cache, const KvShape& shape);

// All layers of a chunk, dense rows, [2 * layer + side]; waits until they are there.
manifests::Status place_chunk(DeviceKvSink& sink, kernels::TokenRange tokens,
                              std::span<const kernels::TensorView> from);

// Keys or values of one layer, `tokens` of the context. The host's rows are dense: token
// tokens.begin at `from`. Enqueues one copy a run of tokens in a block, or one a head of it.
kernels::Check place_rows(kernels::DeviceRuntime& device, const DeviceCache& cache,
                          const KvShape& shape, uint32_t layer, kernels::Side side,
                          kernels::TokenRange tokens, kernels::TensorView from,
                          kernels::DeviceStream stream);
kernels::Check read_rows(kernels::DeviceRuntime& device, const DeviceCache& cache,
                         const KvShape& shape, uint32_t layer, kernels::Side side,
                         kernels::TokenRange tokens, kernels::MutableTensorView to,
                         kernels::DeviceStream stream);

}  // namespace kvcast::player
