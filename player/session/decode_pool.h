// Threads that decode sections into the sink.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "kernels/plane.h"
#include "player/session/stored_object.h"

namespace kvcast::player {

// One group's keys or values of one chunk, from planes 0..n.
struct DecodeJob {
  uint32_t chunk = 0, group = 0;
  kernels::Side side = kernels::Side::kKey;
  const kernels::Codec* codec = nullptr;  // null: the object is exact, and the group is a layer
  uint32_t channels = 0;                  // of a layer; exact only
  std::vector<std::shared_ptr<const StoredObject>> planes;
  kernels::TokenRange tokens;
  kernels::DType dtype = kernels::DType::kBf16;
  std::vector<kernels::MutableTensorView> layers;  // at the chunk's first token
  double work = 0;
};

struct DecodeDone {
  uint32_t chunk = 0, group = 0;
  int level = -1;     // reached: below the one asked for when a plane is faulty; -1: none
  std::string fault;  // of the best plane that failed
  double work = 0, thread_seconds = 0;
};

// Decodes, stepping down a level after a fault.
DecodeDone run_decode(const DecodeJob& job);

// submit and collect from one thread; destruction drops what waits and joins.
class DecodePool {
 public:
  // `wake` is called from the pool's threads whenever a job is done. Without threads a job is done
  // before submit returns.
  DecodePool(uint32_t threads, std::function<void()> wake);
  ~DecodePool();
  DecodePool(const DecodePool&) = delete;
  DecodePool& operator=(const DecodePool&) = delete;

  void submit(DecodeJob job);
  std::vector<DecodeDone> collect();  // throws what a job threw

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
