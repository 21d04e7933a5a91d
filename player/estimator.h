// What a play learns while it runs. Times are seconds of any monotonic clock; nothing here reads
// one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "player/recompute.h"

namespace kvcast::player {

// The link's rate: body bytes over the union of the intervals in which any transfer was receiving,
// so that parallel transfers count once and waiting for first bytes not at all. Both sums forget
// with a half-life of active time. Time to first byte apart: an exponential mean of samples.
class ThroughputEstimator {
 public:
  explicit ThroughputEstimator(double prior_bytes_per_s = 0, double half_life_s = 0.15);

  void body_begins(double now_s, double ttfb_s);  // headers came
  void data(double now_s, uint64_t bytes);
  void body_ends(double now_s);            // complete, failed or cancelled after headers
  double bytes_per_s(double now_s) const;  // 0: not known; falls while nothing comes
  double ttfb_s() const { return ttfb_s_; }

 private:
  struct Sums {
    double bytes = 0, seconds = 0;
  };
  Sums at(double now_s) const;
  double half_life_s_, prior_bytes_per_s_;
  Sums sums_;
  double last_s_ = 0, ttfb_s_ = 0;
  uint64_t total_bytes_ = 0;
  uint32_t receiving_ = 0;
};

// Work per second of one decode thread; work is Manifest's decode_cost, once per plane.
class DecodeEstimator {
 public:
  void add(double work, double thread_seconds);
  double seconds(double work, uint32_t threads) const;  // by the pool; 0 while nothing is known

 private:
  double work_ = 0, seconds_ = 0;
};

// Least squares of (1, n, n (p + n/2)) against measured seconds, newer ones heavier, pulled towards
// the engine's own numbers as by one observation, or weakly towards a constant per token where it
// has none.
class RecomputeEstimator {
 public:
  explicit RecomputeEstimator(std::optional<RecomputeCost> prior);
  void add(uint64_t begin, uint64_t end, double seconds);
  double seconds(uint64_t begin, uint64_t end) const;  // > 0 once anything is known, else 0

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
  double prior_[3] = {}, cost_[3] = {};
  bool has_prior_ = false;
};

// When KV must stop changing: the deadline, less the suffix prefill, less decoding what is in hand
// and not decoded, less a margin for what the estimates miss.
double freeze_time(double deadline_s, double suffix_prefill_s, double pending_decode_s);

}  // namespace kvcast::player
