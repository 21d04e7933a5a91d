// CacheGen's codec and plain quantisation as schemes.
#include <algorithm>

#include "tools/eval/cachegen.h"
#include "tools/eval/scheme.h"

namespace kvcast::eval {
namespace {

using kernels::Side;
using manifests::Status;

std::span<const float> tensor_of(const Reference& reference, uint32_t layer, Side side) {
  return {reference.cache.row(layer, side, 0),
          reference.tokens.size() * reference.cache.channels()};
}

// Quantises every tensor with its number of bins and puts the outcome into `candidate`.
std::vector<CacheGenTensor> quantise_all(const Reference& reference, const CacheGenLevel& level,
                                         engine::KvCache& candidate) {
  std::vector<CacheGenTensor> tensors;
  for (uint32_t layer = 0; layer < candidate.layers(); ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      const uint32_t bins = (side == Side::kKey ? level.key_bins : level.value_bins)[layer];
      tensors.push_back(
          cachegen_quantise(tensor_of(reference, layer, side), candidate.channels(), bins));
      const std::vector<float> values = cachegen_dequantise(tensors.back());
      std::copy(values.begin(), values.end(), candidate.row(layer, side, 0));
    }
  }
  return tensors;
}

class CacheGenScheme final : public Scheme {
 public:
  Status run(const Reference& reference, const Emit& emit) override {
    const uint64_t tokens = reference.tokens.size();
    const uint32_t channels = reference.cache.channels();
    for (int level = 1; level <= 3; ++level) {
      engine::KvCache candidate = reference.cache;
      const auto tensors =
          quantise_all(reference, cachegen_level(level, candidate.layers()), candidate);
      std::vector<Point> points;
      for (const auto& [curve, object_tokens] :
           {std::pair<const char*, uint64_t>{"cachegen", tokens},
            {"cachegen/1024", 1024},
            {"cachegen/256", 256}}) {
        points.push_back({curve, "level " + std::to_string(level),
                          cachegen_bytes(tensors, channels, tokens, object_tokens).total(), 0});
      }
      if (Status emitted = emit(points, candidate); !emitted.ok()) return emitted;
    }
    return {};
  }
};

class PerTokenScheme final : public Scheme {
 public:
  Status run(const Reference& reference, const Emit& emit) override {
    const uint64_t tokens = reference.tokens.size();
    for (const uint32_t bits : {8u, 4u}) {
      engine::KvCache candidate = reference.cache;
      const uint32_t layers = candidate.layers();
      const CacheGenLevel level{std::vector<uint32_t>(layers, 1u << bits),
                                std::vector<uint32_t>(layers, 1u << bits)};
      quantise_all(reference, level, candidate);
      const uint64_t bytes = 2 * layers * (tokens * candidate.channels() * bits / 8 + 2 * tokens);
      const Point point{"per-token", std::to_string(bits) + " bits", bytes, 0};
      if (Status emitted = emit({&point, 1}, candidate); !emitted.ok()) return emitted;
    }
    return {};
  }
};

}  // namespace

std::unique_ptr<Scheme> cachegen_scheme() {
  return std::make_unique<CacheGenScheme>();
}

std::unique_ptr<Scheme> per_token_scheme() {
  return std::make_unique<PerTokenScheme>();
}

}  // namespace kvcast::eval
