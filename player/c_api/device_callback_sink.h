// A device sink made of the C header's callbacks. Threads: as KvSink.
#pragma once

#include <optional>

#include "player/device_sink.h"
#include "player/kvcast.h"

namespace kvcast::player {

class DeviceCallbackSink final : public DeviceKvSink {
 public:
  DeviceCallbackSink(DeviceRoom& room, const kvcast_device_sink& table)
      : DeviceKvSink(room, {}), table_(table) {}

  manifests::Status prepare(const KvShape& shape, const manifests::KvFileInfo& about) override;
  void tokens_known(std::span<const uint32_t> ids) override;
  void chunk_ready(uint64_t token_begin, uint64_t token_end) override;
  void layer_ready(uint32_t layer) override;

 protected:
  manifests::Result<DeviceCache> cache_for(const KvShape& shape) override;

 private:
  kvcast_device_sink table_;
  std::string model_;
};

}  // namespace kvcast::player
