// The thread that feeds a device: the session hands it objects and sections and never waits for
// the bus.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "player/device/decode_queue.h"
#include "player/session/section_decoder.h"

namespace kvcast::player {

// Destruction drops what waits, and waits for what the device is doing.
class DeviceDecoder final : public SectionDecoder {
 public:
  // `wake` is called from the thread whenever something is done, or has failed.
  DeviceDecoder(DeviceKvSink& sink, std::function<void()> wake);
  ~DeviceDecoder() override;
  DeviceDecoder(const DeviceDecoder&) = delete;
  DeviceDecoder& operator=(const DeviceDecoder&) = delete;

  manifests::Status use_profile(const kernels::Profile& profile) override;
  void keep(const std::shared_ptr<const StoredObject>& object) override;
  void release(const std::shared_ptr<const StoredObject>& object) override;
  void submit(std::vector<DecodeJob> jobs) override;
  manifests::Result<std::vector<DecodeDone>> collect() override;

 private:
  // What the session has said since the thread last looked.
  struct News {
    std::vector<std::shared_ptr<const StoredObject>> kept, released;
    std::vector<DecodeJob> jobs;
  };
  void work(std::stop_token stop);
  bool work_once();  // false: nothing to be done now
  void take_news();
  manifests::Error error_of(const kernels::Fault& fault) const;

  DeviceKvSink& sink_;
  std::function<void()> wake_;
  std::mutex queue_mutex_;  // held while the queue works
  DecodeQueue queue_;
  std::mutex mutex_;  // of the following
  std::condition_variable_any something_;
  News news_;
  bool has_news_ = false;
  std::vector<DecodeDone> done_;
  std::optional<manifests::Error> failure_;
  std::exception_ptr bug_;
  std::jthread thread_;  // last: joined first
};

}  // namespace kvcast::player
