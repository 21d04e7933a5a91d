// A bad network in virtual time, behind Transport: one link shared by all transfers, servers that
// go wrong as a schedule says. Time moves only in poll(), never while an engine of the test has
// work to do, so that a play takes the same course on any machine.
//
// All calls from the play's thread, except wake(), and engine_sleeps() from the engine's.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "player/chaos/schedule.h"
#include "player/transport.h"

namespace kvcast::player {

class ChaosNetwork final : public Transport {
 public:
  // `files` by URL on http://store.test; the second base, http://b.test, has the same.
  ChaosNetwork(const std::map<std::string, std::vector<std::byte>>& files,
               const Schedule& schedule);

  TransferId start(TransferRequest request) override;
  void cancel(TransferId id) override { transfers_.erase(id); }
  std::vector<std::byte> stop(TransferId id) override;
  std::vector<TransferEvent> poll(std::chrono::nanoseconds max_wait) override;
  void wake() override;
  int64_t now_ns() const override { return now_ns_; }

  double now_s() const { return static_cast<double>(now_ns_) * 1e-9; }
  uint32_t faults() const { return faults_; }  // that requests met, the link's outages included
  double last_byte_s() const { return last_byte_s_; }

  // The play has started, or cancelled, a recompute: its engine is at work in real time until it
  // sleeps, or wakes the play.
  void engine_works();
  void engine_stops();
  // On the engine's thread: until so much time has passed. False when stopped before.
  bool engine_sleeps(double seconds, std::stop_token stop);

 private:
  struct Transfer {
    TransferRequest request;
    size_t base = 0;
    int64_t start_ns = 0, headers_ns = 0, last_ns = 0;
    bool answered = false;
    ResponseHeaders headers;
    std::vector<std::byte> body;  // all of it
    size_t sent = 0;
    size_t stops_at = SIZE_MAX;  // of the body
    bool resets = false;         // there; else silence
    double credit = 0;           // bytes of the link not handed out yet
    std::optional<TransferFailure> refusal;
  };
  void answer(Transfer& transfer);
  void spoil(Transfer& transfer);
  void refuse(Transfer& transfer, int status, bool retryable);
  void step(double seconds, std::vector<TransferEvent>& events);
  bool advance(TransferId id, Transfer& transfer, double bytes, std::vector<TransferEvent>& events);
  void fail(TransferId id, Transfer& transfer, TransferFailure failure,
            std::vector<TransferEvent>& events);
  bool any(const std::vector<Interval>& intervals) const;
  bool dead() const;
  double rate() const;
  void let_engine_run();

  const std::map<std::string, std::vector<std::byte>>& files_;
  const Schedule schedule_;
  std::mt19937_64 random_;
  std::map<TransferId, Transfer> transfers_;
  TransferId last_id_ = 0;
  int64_t now_ns_ = 0;
  uint32_t faults_ = 0;
  double last_byte_s_ = 0;
  const std::thread::id thread_ = std::this_thread::get_id();

  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool woken_ = false;
  bool working_ = false;   // the engine's thread has something to do in real time
  bool ended_ = false;     // its latest recompute has
  bool sleeping_ = false;  // it waits for virtual time to pass
  int64_t sleeps_until_ns_ = 0;
};

}  // namespace kvcast::player
