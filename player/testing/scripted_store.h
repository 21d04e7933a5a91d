// A store in memory behind Transport, in real time: wake() comes from other threads here, so time
// cannot be virtual. Tests decide what each URL answers, and hold answers back.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "player/transport.h"

namespace kvcast::player {

class ScriptedStore final : public Transport {
 public:
  // `files` by URL; anything else is 404.
  explicit ScriptedStore(std::map<std::string, std::vector<std::byte>> files)
      : files_(std::move(files)) {}

  // While it says so, the answer to a URL does not come. Asked on every poll.
  std::function<bool(const std::string& url)> held = [](const std::string&) { return false; };

  TransferId start(TransferRequest request) override;
  void cancel(TransferId id) override;
  std::vector<TransferEvent> poll(std::chrono::nanoseconds max_wait) override;
  void wake() override;
  int64_t now_ns() const override;

  std::map<std::string, std::vector<std::byte>>& files() { return files_; }
  const std::vector<std::string>& requested() const { return requested_; }  // URLs, in order

 private:
  void answer(TransferId id, const TransferRequest& request, std::vector<TransferEvent>& events);
  std::map<std::string, std::vector<std::byte>> files_;
  std::map<TransferId, TransferRequest> waiting_;
  std::vector<std::string> requested_;
  TransferId last_id_ = 0;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool wake_ = false;
};

}  // namespace kvcast::player
