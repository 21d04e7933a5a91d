#include "tools/eval/cachegen.h"

#include <algorithm>
#include <cmath>

#include "kernels/dtype.h"
#include "tools/eval/arithmetic_coder.h"

namespace kvcast::eval {
namespace {

constexpr uint64_t kStreamTokens = 256;

float to_bf16(float x) {
  return kernels::bf16_to_f32(kernels::f32_to_bf16(x));
}

// As calculate_cdf: counts scaled to 16 bits with 1 to spare for every bin, `bins` being the widest
// layer's.
std::vector<uint32_t> cdf_of(std::span<const uint64_t> counts, uint64_t tokens) {
  const uint64_t bins = counts.size();
  std::vector<uint32_t> cdf(bins + 1);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < bins; ++i) {
    cdf[i] = static_cast<uint32_t>(sum * (65536 - bins) / tokens + i);
    sum += counts[i];
  }
  cdf[bins] = 65536;
  return cdf;
}

// One channel of one tensor in one object.
uint64_t channel_payload(const CacheGenTensor& tensor, uint32_t channel, uint32_t channels,
                         uint32_t most_bins, uint64_t begin, uint64_t end) {
  std::vector<uint64_t> counts(most_bins);
  std::vector<uint8_t> column;
  for (uint64_t token = begin; token < end; ++token) {
    column.push_back(tensor.symbols[token * channels + channel]);
    ++counts[column.back()];
  }
  const std::vector<uint32_t> cdf = cdf_of(counts, end - begin);
  uint64_t bytes = 0;
  for (uint64_t at = 0; at < column.size(); at += kStreamTokens) {
    const uint64_t n = std::min<uint64_t>(kStreamTokens, column.size() - at);
    bytes += arithmetic_coded_bytes(std::span(column).subspan(at, n), cdf);
  }
  return bytes;
}

}  // namespace

CacheGenLevel cachegen_level(int level, uint32_t layers) {
  const auto boundary = [layers](uint32_t of_32) { return (of_32 * layers + 31) / 32; };
  const uint32_t keys[3][3] = {{16, 16, 12}, {32, 16, 16}, {32, 32, 32}};
  const uint32_t values[3][2] = {{16, 12}, {32, 16}, {32, 32}};
  CacheGenLevel bins;
  for (uint32_t layer = 0; layer < layers; ++layer) {
    const size_t third = layer < boundary(10) ? 0 : layer < boundary(20) ? 1 : 2;
    bins.key_bins.push_back(keys[level - 1][third]);
    bins.value_bins.push_back(values[level - 1][layer < boundary(2) ? 0 : 1]);
  }
  return bins;
}

CacheGenTensor cachegen_quantise(std::span<const float> values, uint32_t channels, uint32_t bins) {
  CacheGenTensor tensor;
  tensor.bins = bins;
  const auto most = static_cast<float>(bins / 2 - 1);
  for (size_t at = 0; at < values.size(); at += channels) {
    float scale = 0;
    for (const float x : values.subspan(at, channels)) scale = std::max(scale, std::fabs(x));
    tensor.scales.push_back(to_bf16(scale));
    for (const float x : values.subspan(at, channels)) {
      // The public code divides by zero where a token is all zeros; zeros are meant.
      const float q = scale > 0 ? std::nearbyint(x * most / scale + most) : most;
      tensor.symbols.push_back(static_cast<uint8_t>(std::clamp(q, 0.0f, 2 * most)));
    }
  }
  return tensor;
}

std::vector<float> cachegen_dequantise(const CacheGenTensor& tensor) {
  const auto most = static_cast<float>(tensor.bins / 2 - 1);
  const size_t channels = tensor.symbols.size() / tensor.scales.size();
  std::vector<float> values;
  values.reserve(tensor.symbols.size());
  for (size_t i = 0; i < tensor.symbols.size(); ++i) {
    values.push_back(to_bf16((static_cast<float>(tensor.symbols[i]) - most) / most *
                             tensor.scales[i / channels]));
  }
  return values;
}

CacheGenBytes cachegen_bytes(std::span<const CacheGenTensor> tensors, uint32_t channels,
                             uint64_t tokens, uint64_t object_tokens) {
  uint32_t most_bins = 0;
  for (const CacheGenTensor& tensor : tensors) most_bins = std::max(most_bins, tensor.bins);
  CacheGenBytes bytes;
  for (uint64_t begin = 0; begin < tokens; begin += object_tokens) {
    const uint64_t end = std::min(tokens, begin + object_tokens);
    const uint64_t streams = (end - begin + kStreamTokens - 1) / kStreamTokens;
    bytes.lengths += 4 * tensors.size() * channels * streams;
    bytes.cdfs += 2 * tensors.size() * channels * (most_bins + 1);
    bytes.scales += 2 * tensors.size() * (end - begin);
    for (const CacheGenTensor& tensor : tensors) {
      for (uint32_t channel = 0; channel < channels; ++channel) {
        bytes.payload += channel_payload(tensor, channel, channels, most_bins, begin, end);
      }
    }
  }
  return bytes;
}

}  // namespace kvcast::eval
