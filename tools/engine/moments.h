// Second moments of what meets the errors of a cache, gathered while a model runs: queries for its
// keys, the output projection for its values. File: packager/moments_format.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/rope.h"
#include "manifests/result.h"
#include "tools/engine/model.h"

namespace kvcast::engine {

class Moments {
 public:
  explicit Moments(const Model& model);  // must outlive this

  // As QueryObserver: engine/prefill.h. Each query counts once for each of kKeysOfAQuery keys,
  // evenly spaced over the positions that it attends to.
  void add_queries(uint32_t layer, uint64_t first_position, std::span<const float> queries);
  manifests::Status write(const std::string& path) const;

  static constexpr uint64_t kKeysOfAQuery = 4;

 private:
  void add_query(uint32_t layer, uint64_t position, std::span<const float> query);
  std::vector<float> query_moment(uint32_t layer) const;   // [kv_heads][dim][dim]
  std::vector<float> output_moment(uint32_t layer) const;  // the same

  const Model& model_;
  kernels::RopeAngles angles_;
  std::vector<std::vector<double>> sums_;  // [layer][kv_head * dim * dim]
  std::vector<uint64_t> counts_;           // [layer]: vectors added to each KV head
};

}  // namespace kvcast::engine
