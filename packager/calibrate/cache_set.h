// The KV caches a calibration reads, as pieces of a few hundred tokens of one section.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "kernels/profile.h"
#include "manifests/result.h"
#include "packager/source/kv_source.h"

namespace kvcast::packager {

// One piece: tokens of one cache, all layers of one group and side.
struct CachePiece {
  kernels::TokenRange tokens;
  kernels::DType dtype = kernels::DType::kBf16;
  std::vector<kernels::TensorView> layers;
};

class CacheSet {
 public:
  // All of one geometry and RoPE; at least one file.
  static manifests::Result<CacheSet> open(const std::vector<std::string>& paths);

  const kernels::Geometry& geometry() const { return sources_.front().geometry(); }
  const std::vector<kernels::Rope>& ropes() const { return sources_.front().ropes(); }
  const std::vector<uint8_t>& layer_rope() const { return sources_.front().layer_rope(); }
  const std::string& weights() const { return sources_.front().info().model.weights; }  // their id
  uint64_t tokens() const;  // of all
  uint64_t coded_tokens(uint32_t sink_tokens) const;

  // Calls `use` for every piece of a section, in order; its fault names the file.
  using Use = std::function<kernels::Check(const CachePiece& piece)>;
  manifests::Status for_each_piece(const kernels::LayerGroup& group, kernels::Side side,
                                   std::stop_token stop, const Use& use) const;

 private:
  std::vector<KvSource> sources_;
};

}  // namespace kvcast::packager
