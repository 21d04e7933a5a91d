#include "tools/engine/moments.h"

#include <fmt/format.h>

#include <cmath>

#include "manifests/safetensors.h"
#include "tools/engine/load/weights.h"

namespace kvcast::engine {
namespace {

// sum += vector vector^T
void add_square(std::span<const float> vector, double* sum) {
  for (size_t a = 0; a < vector.size(); ++a) {
    const double x = vector[a];
    for (size_t b = 0; b < vector.size(); ++b) sum[a * vector.size() + b] += x * vector[b];
  }
}

}  // namespace

Moments::Moments(const Model& model)
    : model_(model), angles_(model.config().rope), counts_(model.config().layers) {
  const ModelConfig& config = model.config();
  sums_.assign(config.layers,
               std::vector<double>(size_t{config.kv_heads} * config.head_dim * config.head_dim));
}

void Moments::add_queries(uint32_t layer, uint64_t first_position, std::span<const float> queries) {
  const size_t channels = model_.config().query_channels();
  for (size_t row = 0; row < queries.size() / channels; ++row) {
    add_query(layer, first_position + row, queries.subspan(row * channels, channels));
  }
}

// A key's error e, RoPE undone, moves the logit by s R_p^T q . e / sqrt(dim), where s is the factor
// on cosines and sines and R_p the rotation at the key's position.
void Moments::add_query(uint32_t layer, uint64_t position, std::span<const float> query) {
  const ModelConfig& config = model_.config();
  const uint32_t dim = config.head_dim, share = config.heads / config.kv_heads;
  const double s = config.rope.attention_scaling;
  const auto unit = static_cast<float>(s * s / std::sqrt(static_cast<double>(dim)));
  std::vector<float> seen(dim);
  for (uint64_t key = 0; key < kKeysOfAQuery; ++key) {
    const uint64_t key_position = (position + 1) * (2 * key + 1) / (2 * kKeysOfAQuery);
    const kernels::RopeTable rotation(angles_, key_position, 1);
    for (uint32_t head = 0; head < config.heads; ++head) {
      for (uint32_t d = 0; d < dim; ++d) seen[d] = unit * query[size_t{head} * dim + d];
      rotation.undo(0, seen);
      add_square(seen, sums_[layer].data() + size_t{head / share} * dim * dim);
    }
  }
  counts_[layer] += kKeysOfAQuery * share;
}

std::vector<float> Moments::query_moment(uint32_t layer) const {
  std::vector<float> moment;
  const auto count = static_cast<double>(std::max<uint64_t>(1, counts_[layer]));
  for (const double sum : sums_[layer]) moment.push_back(static_cast<float>(sum / count));
  return moment;
}

std::vector<float> Moments::output_moment(uint32_t layer) const {
  const ModelConfig& config = model_.config();
  const size_t dim = config.head_dim, share = config.heads / config.kv_heads;
  const std::vector<float>& output = model_.weights().layers[layer].output;
  std::vector<double> sum(size_t{config.kv_heads} * dim * dim);
  for (size_t row = 0; row < config.hidden; ++row) {
    for (size_t head = 0; head < config.heads; ++head) {
      add_square({output.data() + row * config.query_channels() + head * dim, dim},
                 sum.data() + head / share * dim * dim);
    }
  }
  std::vector<float> moment;
  for (const double x : sum) moment.push_back(static_cast<float>(x / static_cast<double>(share)));
  return moment;
}

manifests::Status Moments::write(const std::string& path) const {
  const ModelConfig& config = model_.config();
  std::vector<std::vector<float>> values;
  std::vector<manifests::TensorToWrite> tensors;
  values.reserve(2 * config.layers);
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    for (const bool is_query : {true, false}) {
      values.push_back(is_query ? query_moment(layer) : output_moment(layer));
      tensors.push_back({fmt::format("layers.{}.{}_moment", layer, is_query ? "query" : "output"),
                         "F32",
                         {config.kv_heads, config.head_dim, config.head_dim},
                         std::as_bytes(std::span(values.back()))});
    }
  }
  return manifests::write_safetensors(
      path, {{"model", model_.name()}, {"weights", model_.weights_id()}}, tensors);
}

}  // namespace kvcast::engine
