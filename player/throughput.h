// What a play learns about the link while it runs: how fast bytes come, how long the first one
// takes, and from these how long an object of a given size will take. Seconds of any monotonic
// clock; nothing here reads one.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "player/transport.h"

namespace kvcast::player {

// A lognormal guess: half of it lies below `median`.
struct Spread {
  double median = 0;  // 0: not known
  double log_sd = 0;
  double quantile(double p) const;  // 0 < p < 1
};

// For people: "3.2 MB/s", or "an unknown rate" for 0.
std::string rate_text(double bytes_per_s);

// What is known of one host's link; kept between plays (play_history.h).
struct LinkRecord {
  Spread rate_bytes_per_s;  // of what its origin sent; answers from caches are not in it
  Spread ttfb_s;            // without connecting
  double rtt_s = 0;         // least TCP handshake; 0: not known
};

// Whose bytes they are, as the answer says; guessing from speed mistakes fast links for caches.
enum class Tier : uint8_t { kOrigin, kCache };

// A cache's: Cache-Status (RFC 9211) or X-Cache with a hit, X-Varnish with two ids, an Age above 0.
Tier tier_of(const ResponseHeaders& headers);

// Rate: body bytes over the union of the intervals in which any transfer was receiving, so that
// parallel transfers count once and waiting for first bytes not at all. Sums forget with a
// half-life of active time. Time goes to the tier that brought the next bytes, and waiting to all
// tiers that are receiving. Time in which this side did not read (pause) is dropped, with what
// comes right after it out of the sockets' buffers.
class ThroughputEstimator {
 public:
  explicit ThroughputEstimator(double prior_bytes_per_s = 0, double half_life_s = 0.15);

  // Counts as at most 50 ms of receiving, less the wider it is, and as a factor, not as bytes: a
  // prior a thousand times too fast is soon outweighed. Ignored once enough has been received to
  // know better, and when the prior so far is a narrower one.
  void set_prior(const Spread& rate_bytes_per_s);

  void body_begins(double now_s, Tier tier = Tier::kOrigin);
  void data(double now_s, uint64_t bytes, Tier tier = Tier::kOrigin);
  void body_ends(double now_s, Tier tier = Tier::kOrigin);  // complete, failed, cancelled
  void pause(double now_s);
  void resume(double now_s);

  // Of what is to come, if caches answer as often as lately. 0: not known; falls while nothing
  // comes.
  double bytes_per_s(double now_s) const;
  double bytes_per_s(double now_s, Tier tier) const;  // 0: nothing or too little seen of it
  double measured_bytes_per_s(double now_s) const;    // the first of them without any prior
  Spread spread(double now_s) const;                  // of windows of some 20 ms
  double cached_share() const;                        // of latest bytes
  uint64_t total_bytes(Tier tier) const { return tiers_[static_cast<size_t>(tier)].total_bytes; }

 private:
  struct Sums {
    double bytes = 0, seconds = 0;
  };
  struct TierState {
    Sums sums;
    double prior_s = 0;  // of receiving that the prior still counts as
    uint64_t total_bytes = 0;
    double total_seconds = 0;
    uint32_t receiving = 0;
  };
  static size_t index(Tier tier) { return static_cast<size_t>(tier); }
  void let_pass(TierState& state, double passed_s) const;
  TierState at(size_t tier, double now_s) const;
  double of_both(double origin, double cache) const;
  double advance(double now_s);  // how much time counts since the last call
  void pass(size_t tier, double passed_s);
  void add_to_window(uint64_t bytes, double passed_s);
  bool knows(const TierState& tier) const;

  double half_life_s_;
  Spread prior_;
  std::array<TierState, 2> tiers_;
  double last_s_ = 0, muted_until_s_ = 0;
  bool paused_ = false;
  double cached_share_ = 0;
  Sums window_;
  double log_mean_ = 0, log_variance_ = 0;
  uint32_t windows_ = 0;
};

// Times to first byte (or any other waits), as a lognormal that forgets.
class LatencyEstimator {
 public:
  void set_prior(const Spread& seconds);  // as some three samples; ignored once there are samples
  void add(double seconds);
  Spread spread() const;  // median 0 while there is neither sample nor prior
  double mean_s() const { return mean_s_; }
  uint32_t samples() const { return samples_; }

 private:
  Spread prior_;
  double log_mean_ = 0, log_variance_ = 0, mean_s_ = 0, weight_ = 0;
  uint32_t samples_ = 0;
};

// How long an object takes. TCP's slow start is in it: a connection that has carried c bytes sends
// ten segments and c bytes in the first round trip, and twice as much in each that follows, until
// that exceeds what the link brings in a round trip (RFC 5681, RFC 6928). The rate's spread counts
// less over longer times, which average over more of it.
struct LinkForecast {
  Spread rate_bytes_per_s, ttfb_s;
  double rtt_s = 0;
  uint64_t carried_bytes = 0;  // by the connection; 0: a new or idle one

  // In `quantile` of cases it takes no longer. 0 while the rate is not known.
  double seconds_for(uint64_t bytes, double quantile) const;
};

}  // namespace kvcast::player
