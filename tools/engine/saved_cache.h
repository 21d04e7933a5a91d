// A KV cache as a safetensors file (manifests/kv_file.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/dtype.h"
#include "manifests/result.h"
#include "manifests/safetensors.h"
#include "tools/engine/kv_cache.h"
#include "tools/engine/model.h"

namespace kvcast::engine {

// Writes the cache's first tokens.size() tokens, whole or not at all; returns the bytes of keys and
// values. `text` must be UTF-8 and may be empty. Memory: one layer's keys or values.
manifests::Result<uint64_t> save_cache(const std::string& path, const Model& model,
                                       const KvCache& cache, std::span<const uint32_t> tokens,
                                       const std::string& text, kernels::DType dtype);

// Reads the file's tokens to the front of the cache; returns how many. kCorrupt if they are of
// another model or damaged, kUsage if they do not fit.
manifests::Result<uint64_t> load_cache(const manifests::SafetensorsFile& file, const Model& model,
                                       KvCache& cache);

}  // namespace kvcast::engine
