// Threads that decode sections into host memory.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "player/session/section_decoder.h"

namespace kvcast::player {

// Decodes, stepping down a level after a fault.
DecodeDone run_decode(const DecodeJob& job);

// Destruction drops what waits and joins.
class DecodePool final : public SectionDecoder {
 public:
  // `wake` is called from the pool's threads whenever a job is done. Without threads a job is done
  // before submit returns.
  DecodePool(uint32_t threads, std::function<void()> wake);
  ~DecodePool() override;
  DecodePool(const DecodePool&) = delete;
  DecodePool& operator=(const DecodePool&) = delete;

  void submit(std::vector<DecodeJob> jobs) override;
  manifests::Result<std::vector<DecodeDone>> collect() override;

 private:
  void work(std::stop_token stop);
  std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<DecodeJob> waiting_;
  std::vector<DecodeDone> done_;
  std::exception_ptr bug_;
  std::vector<std::jthread> threads_;  // last: joined first
};

}  // namespace kvcast::player
