// A way to store a context's KV cache, as the evaluation sees it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "tools/engine/model.h"
#include "tools/eval/reference.h"

namespace kvcast::eval {

// Bytes a receiver fetches for one context at one point of a scheme's curve. Several points may
// share a reconstruction (objects of different sizes).
struct Point {
  std::string curve;  // "kvcast:head", "cachegen"
  std::string label;  // "level 1"
  uint64_t bytes = 0;
  uint64_t shared_bytes = 0;  // of what all contexts of the model share; not in `bytes`
};

// `candidate` holds what the points' receivers would have.
using Emit =
    std::function<manifests::Status(std::span<const Point> points, engine::KvCache& candidate)>;

class Scheme {
 public:
  virtual ~Scheme() = default;
  // Codes one context and emits every point, in the same order for every context.
  virtual manifests::Status run(const Reference& reference, const Emit& emit) = 0;
};

// CacheGen's public codec at its three levels, the context as one object and in objects of 1,024
// and 256 tokens: curves "cachegen", "cachegen/1024", "cachegen/256".
std::unique_ptr<Scheme> cachegen_scheme();

// 8 and 4 bits by the absolute maximum of each token, layer and side: curve "per-token".
std::unique_ptr<Scheme> per_token_scheme();

// What `kvcast pack` stores at every level, manifest and headers included, without text: curve
// "kvcast:NAME". `profile` is a file; empty: measured on the first chunk, counted as the context's
// own. Files go below `folder`.
struct PackedParams {
  std::string name, profile, folder;
  uint32_t chunk_tokens = 1024;
  uint32_t raise_last_chunk = 0;  // levels that the last chunk has more than the others
  bool exact = false;             // also store the context exactly: curve "exact"
  unsigned threads = 0;
};
std::unique_ptr<Scheme> packed_scheme(const engine::Model& model, PackedParams params);

// PCA over all layers of K and of V after RoPE and mean are removed, bits allocated to components
// by variance, DEFLATE: the stages of KVTC (ICLR 2026), with its 4 exact sinks but without its
// window of 128 recent exact tokens, which would weigh 1 bit an element here. Layers are divided by
// their RMS first. Fitted on KV files: curve "kvtc-style".
manifests::Result<std::unique_ptr<Scheme>> pca_deflate_scheme(
    const std::vector<std::string>& calibration);

}  // namespace kvcast::eval
