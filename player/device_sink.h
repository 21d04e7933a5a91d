// Decoded KV in a GPU's memory, in the engine's own layout: compressed objects go through pinned
// memory to the device, stay there until the freeze, so that upgrades decode them again where they
// are, and kernels write the cache (kernels/device_decode.h). KV itself never passes the bus.
//
//     auto device = kernels::open_cuda_device(0);
//     auto room = DeviceRoom::create(**device, {});            // once for all plays of an engine
//     DeviceKvSink sink(**room, cache);
//     play(transport, source, params, sink, nullptr);
//
// As with every sink, nothing is decoded before its object's SHA-256 was checked; layer_ready comes
// once the events of all decodes of a layer have passed and their error words were read, so an
// engine that runs a kernel after it on any stream sees the layer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device_layout.h"
#include "kernels/device_runtime.h"
#include "player/sink.h"

namespace kvcast::player {

struct DeviceRoomParams {
  // Of the device's multiprocessors that decoding may fill at a time, so that generation goes on
  // beside it; its streams have the least priority too. 0: a quarter of them.
  uint32_t max_sms = 0;
  uint64_t ring_bytes = uint64_t{16} << 20;         // pinned
  uint64_t compressed_bytes = uint64_t{512} << 20;  // device: planes that may be decoded again
  uint64_t scratch_bytes = uint64_t{256} << 20;     // device: of what is decoded together
};

struct DeviceMemory;  // player/device/memory.h

// All memory, streams and events that plays on one device need, but for a model's profile: nothing
// else is allocated while an engine generates. For one play at a time. The device must outlive it.
class DeviceRoom {
 public:
  // Error: of the device; it names the call.
  static manifests::Result<std::unique_ptr<DeviceRoom>> create(kernels::DeviceRuntime& device,
                                                               const DeviceRoomParams& params);
  ~DeviceRoom();
  kernels::DeviceRuntime& device() const { return device_; }
  DeviceMemory& memory() { return *memory_; }

 private:
  DeviceRoom(kernels::DeviceRuntime& device, std::unique_ptr<DeviceMemory> memory);
  kernels::DeviceRuntime& device_;
  std::unique_ptr<DeviceMemory> memory_;
};

// Where an engine keeps the KV of one context: device addresses, one a layer. `blocks` as
// kernels::DeviceTensor's block_table; token t of the context is in slot first_slot + t.
struct DeviceCache {
  std::vector<std::byte*> keys_dev, values_dev;
  uint64_t key_bytes = 0, value_bytes = 0;  // from each address on
  kernels::DeviceLayout key_layout, value_layout;
  std::vector<int32_t> blocks;
  uint64_t first_slot = 0;
};

// An engine derives from it to hear of chunk_ready and layer_ready. After a play that failed the
// cache holds anything in this context's slots, and nothing else was touched.
class DeviceKvSink : public KvSink {
 public:
  // The room must outlive it.
  DeviceKvSink(DeviceRoom& room, DeviceCache cache) : room_(room), cache_(std::move(cache)) {}

  // Error: a cache with other layers, or with fewer slots than the presentation has tokens; a type
  // that kernels do not write.
  manifests::Status prepare(const KvShape& shape, const manifests::KvFileInfo& about) override;
  manifests::Result<kernels::MutableTensorView> destination(uint32_t layer,
                                                            kernels::Side side) override;
  void tokens_known(std::span<const uint32_t> ids) override {
    about_.token_ids.assign(ids.begin(), ids.end());
  }
  DeviceKvSink* device() override { return this; }

  DeviceRoom& room() const { return room_; }
  const DeviceCache& cache() const { return cache_; }
  const KvShape& shape() const { return shape_; }
  const manifests::KvFileInfo& about() const { return about_; }

  // Copies all tokens of the play to a host sink, and waits.
  manifests::Status read_back(HostKvSink& to) const;

 protected:
  // Asked once, when the presentation is known: for engines that allocate blocks then.
  virtual manifests::Result<DeviceCache> cache_for(const KvShape& /*shape*/) { return cache_; }

 private:
  DeviceRoom& room_;
  DeviceCache cache_;
  KvShape shape_;
  manifests::KvFileInfo about_;
};

}  // namespace kvcast::player
