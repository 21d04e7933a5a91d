// The KV cache to package: an open safetensors file with its shape as kernels speak of it. Reads
// are positional, so any number of threads may read at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "kernels/profile.h"
#include "manifests/kv_file.h"
#include "manifests/result.h"
#include "manifests/safetensors.h"

namespace kvcast::packager {

class KvSource {
 public:
  static manifests::Result<KvSource> open(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const manifests::KvFileInfo& info() const { return info_; }
  const kernels::Geometry& geometry() const { return geometry_; }
  kernels::DType dtype() const { return dtype_; }
  uint64_t tokens() const { return info_.tokens; }
  // What the file says of its keys, and which of them rotates which layer: an index, or kNoRope.
  const std::vector<kernels::Rope>& ropes() const { return ropes_; }
  const std::vector<uint8_t>& layer_rope() const { return layer_rope_; }

  uint64_t layer_bytes(kernels::Side side, uint32_t tokens) const;
  // [token][head][dim] of the file's type; to.size() == layer_bytes(side, tokens.count).
  manifests::Status read(uint32_t layer, kernels::Side side, kernels::TokenRange tokens,
                         std::span<std::byte> to) const;

  // "FILE: tensor layers.3.key[token 17, head 2, dim 5]"; `element` counts from tokens.begin.
  std::string place(uint32_t layer, kernels::Side side, kernels::TokenRange tokens,
                    uint64_t element) const;

 private:
  KvSource(manifests::SafetensorsFile file, manifests::KvFileInfo info);
  manifests::Status load_shape();
  manifests::Status load_ropes();

  manifests::SafetensorsFile file_;
  manifests::KvFileInfo info_;
  kernels::Geometry geometry_;
  kernels::DType dtype_ = kernels::DType::kBf16;
  std::vector<kernels::Rope> ropes_;
  std::vector<uint8_t> layer_rope_;
};

}  // namespace kvcast::packager
