// What a play learns while it runs about decoding and recomputing; about the link: throughput.h.
// Times are seconds of any monotonic clock; nothing here reads one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "player/recompute.h"
#include "player/throughput.h"

namespace kvcast::player {

// Work per second of one decode thread; work is Manifest's decode_cost, once per plane.
class DecodeEstimator {
 public:
  // What earlier plays took for one unit of work. Counts as at most 50 ms of decoding, less the
  // wider it is.
  void set_prior(const Spread& seconds_per_work);
  void add(double work, double thread_seconds);
  double seconds(double work, uint32_t threads) const;  // by the pool; 0 while nothing is known
  // For one unit of work, as measured here alone; median 0 while too little was.
  Spread measured() const;

 private:
  double work_ = 0, seconds_ = 0, prior_work_ = 0, prior_seconds_ = 0;
};

// Least squares of (1, n, n (p + n/2)) against measured seconds, newer ones heavier, pulled as by
// one observation towards the engine's own numbers, what earlier plays learned, or the mean of
// both; or weakly towards a constant per token where there is neither.
class RecomputeEstimator {
 public:
  explicit RecomputeEstimator(std::optional<RecomputeCost> engines,
                              std::optional<RecomputeCost> learned = {});
  void add(uint64_t begin, uint64_t end, double seconds);
  double seconds(uint64_t begin, uint64_t end) const;  // > 0 once anything is known, else 0

  std::optional<RecomputeCost> measured() const;  // the fit, once there is a sample

  // How much longer the engine takes than it said beforehand: mean of the latest tasks' ratios and
  // one standard deviation, at least 1. Without the engine's own numbers 1.
  double slowdown() const;

 private:
  struct Sample {
    double features[3];
    double seconds, weight;
  };
  void solve();
  std::vector<Sample> samples_;
  double said_[3] = {}, prior_[3] = {}, cost_[3] = {};
  bool has_said_ = false, has_prior_ = false;
};

// How much longer than predicted a recompute may take, from how predictions turned out: 1 and a
// standard deviation of their ratio, the doubt of few samples added.
class EngineSlack {
 public:
  void add(double predicted_s, double actual_s);
  double value() const;

 private:
  double above_ = 0, weight_ = 0;  // squares of what came late, newer ones heavier
  uint32_t samples_ = 0;
};

// When KV must stop changing: the deadline, less the suffix prefill, less decoding what is in hand
// and not decoded, less a margin for what the estimates miss.
double freeze_time(double deadline_s, double suffix_prefill_s, double pending_decode_s);

}  // namespace kvcast::player
