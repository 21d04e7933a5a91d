// A small context packed in memory: what a store would serve, and the KV it came from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "kernels/profile.h"
#include "manifests/manifest.h"

namespace kvcast::player {

struct SampleParams {
  uint32_t chunks = 4, chunk_tokens = 32;
  kernels::Geometry geometry{3, 2, 16, 1, 24};
  kernels::DType dtype = kernels::DType::kBf16;
  uint32_t seed = 1;
  bool text = true;
  // May change an object's section bytes before the object is named and listed.
  std::function<void(uint32_t chunk, uint32_t plane, std::vector<std::byte>& section)> damage;
};

struct Sample {
  manifests::Manifest manifest;
  std::map<std::string, std::vector<std::byte>> files;  // by URL
  std::vector<std::vector<std::byte>> tensors;          // [2 * layer + side], raw, all tokens
  std::vector<uint32_t> tokens;

  std::string manifest_url() const { return "http://store.test/t/public/m/sample.json"; }
  std::string plane_url(uint32_t chunk, uint32_t plane) const;
  std::string exact_url(uint32_t chunk) const;
  size_t row_bytes(size_t tensor) const;
};

Sample make_sample(const SampleParams& params = {});

}  // namespace kvcast::player
