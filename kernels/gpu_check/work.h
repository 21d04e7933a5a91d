// What is decoded for the table: Llama-3-8B's shape (32 layers, 8 KV heads of 128), 8,192 tokens in
// chunks of 1,024, normally distributed values. One layer's keys and values are coded on the host;
// all layers and chunks get copies of them, in memory of their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/profile.h"

namespace kvcast::kernels::gpu_check {

inline constexpr uint32_t kBenchLayers = 32, kBenchHeads = 8, kBenchDim = 128;
inline constexpr uint32_t kBenchChannels = kBenchHeads * kBenchDim;
inline constexpr uint32_t kBenchChunks = 8, kBenchChunkTokens = 1024;
inline constexpr uint32_t kBenchTokens = kBenchChunks * kBenchChunkTokens;
inline constexpr uint64_t kBenchElements =
    uint64_t{kBenchTokens} * kBenchLayers * 2 * kBenchChannels;

struct BenchWork {
  std::string name;
  Profile one_layer, profile;                     // the same for a layer, and for all
  std::vector<std::vector<std::byte>> planes[2];  // [side]: of a section
  std::vector<std::byte> kv[2];                   // [side]: bf16, as it was coded
  double bits_per_value = 0;
};

// `transform_width` 0, 128 (a head) or 1,024 (a layer). One level: coded at about `bits` a value;
// more: at a fifth of a standard deviation, each level dropping a bit more. Throws
// std::runtime_error.
BenchWork make_work(const std::string& name, uint32_t levels, uint32_t transform_width,
                    double bits);

}  // namespace kvcast::kernels::gpu_check
