// Test helper: KV files of any shape. A channel has its own mean and scale and changes slowly with
// the token, which is what caches look like to a codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "manifests/rope.h"

namespace kvcast::packager {

struct SyntheticKv {
  kernels::Geometry geometry{2, 2, 8, 2, 8};
  kernels::DType dtype = kernels::DType::kBf16;
  uint32_t tokens = 40;
  std::string rope = "half_split";                // or "interleaved", "none"
  std::vector<manifests::StatedRope> ropes = {};  // instead, where not empty
  uint64_t seed = 1;
  bool with_tokens = true;
  std::string text = "some text";
};

// Small, odd shapes: K != V, no values, one head, one layer, tokens that do not fill their last
// chunk; every element type; RoPE on some dims of some layers, scaled.
SyntheticKv random_synthetic(std::mt19937_64& random);

// [2 * layer + side]: [token][head][dim] as bytes.
std::vector<std::vector<std::byte>> synthetic_tensors(const SyntheticKv& kv);

void write_kv_file(const std::string& path, const SyntheticKv& kv,
                   const std::vector<std::vector<std::byte>>& tensors);
void write_kv_file(const std::string& path, const SyntheticKv& kv);
// Layer by layer, for files larger than a test should hold.
void stream_kv_file(const std::string& path, const SyntheticKv& kv);

}  // namespace kvcast::packager
