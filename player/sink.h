// Where decoded KV goes. A player asks for the shape once, writes each layer's tensors in place,
// and says when a layer is final. Contiguous host memory and a safetensors file are here; an engine
// that keeps KV elsewhere brings its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "manifests/kv_file.h"
#include "manifests/result.h"

namespace kvcast::player {

struct KvShape {
  kernels::Geometry geometry;
  kernels::DType dtype = kernels::DType::kBf16;
  uint64_t tokens = 0;
};

class DeviceKvSink;  // device_sink.h

// Nothing is written before the object it came from had its SHA-256 checked. The session's thread
// makes all calls; its decode threads write through the views, tokens and layers apart.
class KvSink {
 public:
  virtual ~KvSink() = default;

  // Once, before anything else. `about` is what a KV file would say of this cache.
  virtual manifests::Status prepare(const KvShape& shape, const manifests::KvFileInfo& about) = 0;

  // One layer's keys or values of all tokens, from token 0 on; valid until the sink is gone. An
  // error is a sink that cannot take this layer.
  virtual manifests::Result<kernels::MutableTensorView> destination(uint32_t layer,
                                                                    kernels::Side side) = 0;

  // Not null: KV is kept on a device, which decodes it; destination() is not asked.
  virtual DeviceKvSink* device() { return nullptr; }

  // The context's token ids, once they are known, which may be after prepare or never.
  virtual void tokens_known(std::span<const uint32_t> /*ids*/) {}

  // All layers of these tokens hold usable KV. It may come again for the same tokens, each time
  // better, until the first layer_ready.
  virtual void chunk_ready(uint64_t /*token_begin*/, uint64_t /*token_end*/) {}

  // The layer is complete, and nothing will change it any more. Once a layer, in any order.
  virtual void layer_ready(uint32_t /*layer*/) {}
};

// Each layer's keys and values as one array [tokens][heads][dim]. Memory is the raw size.
class HostKvSink : public KvSink {
 public:
  manifests::Status prepare(const KvShape& shape, const manifests::KvFileInfo& about) override;
  manifests::Result<kernels::MutableTensorView> destination(uint32_t layer,
                                                            kernels::Side side) override;
  void tokens_known(std::span<const uint32_t> ids) override {
    about_.token_ids.assign(ids.begin(), ids.end());
  }

  const KvShape& shape() const { return shape_; }
  const manifests::KvFileInfo& about() const { return about_; }
  std::span<const std::byte> tensor(uint32_t layer, kernels::Side side) const;
  kernels::TensorView view(uint32_t layer, kernels::Side side) const;

 private:
  KvShape shape_;
  manifests::KvFileInfo about_;
  std::vector<std::unique_ptr<std::byte[]>> tensors_;  // [2 * layer + side], not initialised
};

// The host sink, and a KV file of it (manifests/kv_file.h) once the play is over.
class SafetensorsKvSink final : public HostKvSink {
 public:
  explicit SafetensorsKvSink(std::string path) : path_(std::move(path)) {}
  manifests::Status write() const;

 private:
  std::string path_;
};

}  // namespace kvcast::player
