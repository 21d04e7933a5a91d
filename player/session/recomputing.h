// The recompute thread: one chunk at a time into a staging area, from where it is placed whole or
// not at all. Called from the session's thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "player/recompute.h"
#include "player/session/presentation.h"

namespace kvcast::player {

class Recomputing {
 public:
  struct Finished {
    uint32_t chunk = 0;
    bool cancelled = false;
    double seconds = 0;
    std::optional<manifests::Error> error;
  };

  // `engine` may be null. `destinations`: [2 * layer + side], of all tokens. All must outlive it.
  Recomputing(Recompute* engine, const Presentation& presentation,
              const std::vector<kernels::MutableTensorView>& destinations,
              std::function<void()> wake);
  ~Recomputing();  // cancels and waits
  Recomputing(const Recomputing&) = delete;
  Recomputing& operator=(const Recomputing&) = delete;

  void set_tokens(std::vector<uint32_t> tokens) { tokens_ = std::move(tokens); }
  bool available() const;
  bool has_engine() const { return engine_ != nullptr; }
  void give_up() { engine_ = nullptr; }  // after an error; when idle

  std::optional<uint32_t> chunk() const { return chunk_; }  // running, cancelled ones too
  bool cancelling() const { return chunk_ && stop_.stop_requested(); }
  double elapsed_s() const;

  void start(uint32_t chunk);  // when idle; KV of all tokens before is in the sink
  void cancel() { stop_.request_stop(); }
  // Then it is idle, and the staging area valid. Throws what the engine threw.
  std::optional<Finished> collect();
  std::span<const kernels::MutableTensorView> staged() const { return staged_; }  // dense rows

 private:
  void work(std::stop_token end);
  Finished prefill(const RecomputeTask& task, std::stop_token stop);
  void stage(uint32_t chunk);

  Recompute* engine_;
  const Presentation& presentation_;
  const std::vector<kernels::MutableTensorView>& destinations_;
  std::function<void()> wake_;
  std::vector<uint32_t> tokens_;
  std::vector<kernels::TensorView> prefix_;
  std::vector<std::unique_ptr<std::byte[]>> staging_;  // [2 * layer + side]
  uint64_t staging_tokens_ = 0;
  std::vector<kernels::MutableTensorView> staged_;

  std::optional<uint32_t> chunk_;
  double started_s_ = 0;
  std::stop_source stop_;
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::optional<RecomputeTask> task_;  // handed to the thread
  std::optional<Finished> finished_;   // handed back
  std::exception_ptr bug_;
  std::jthread thread_;  // last: joined first
};

}  // namespace kvcast::player
