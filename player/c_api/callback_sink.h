// A sink made of the C header's callbacks. Threads: as KvSink.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "player/kvcast.h"
#include "player/sink.h"

namespace kvcast::player {

// Without `destination` it holds the cache itself, and writes layers out as they become ready.
class CallbackSink final : public HostKvSink {
 public:
  // `stop` ends the play when `write` refuses, which layer_ready cannot say otherwise.
  CallbackSink(const kvcast_sink& table, std::stop_source stop)
      : table_(table), stop_(std::move(stop)) {}

  manifests::Status prepare(const KvShape& shape, const manifests::KvFileInfo& about) override;
  manifests::Result<kernels::MutableTensorView> destination(uint32_t layer,
                                                            kernels::Side side) override;
  void tokens_known(std::span<const uint32_t> ids) override;
  void chunk_ready(uint64_t token_begin, uint64_t token_end) override;
  void layer_ready(uint32_t layer) override;

  const std::optional<manifests::Error>& refusal() const { return refusal_; }

 private:
  void write(uint32_t layer, kernels::Side side);

  kvcast_sink table_;
  kernels::Geometry geometry_;
  std::stop_source stop_;
  std::optional<manifests::Error> refusal_;
};

}  // namespace kvcast::player
