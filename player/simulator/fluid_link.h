// The connections of a simulated play and what comes over them; simulator.h says how. Time only
// moves forward, by advance().
#pragma once

#include <cstdint>
#include <vector>

#include "player/simulator.h"

namespace kvcast::player {

inline constexpr double kInitialWindowBytes = 14'600;  // ten segments (RFC 6928)

class FluidLink {
 public:
  struct Transfer {
    uint64_t id = 0;
    size_t connection = 0;
    double requested_s = 0, begins_s = 0;  // begins: the first byte
    double left_bytes = 0, rate = 0;
    bool begun = false;
    bool measured = true;
  };

  FluidLink(const LinkTrace& trace, const SimulationParams& params);

  // On an idle connection; there is one. A cancelled transfer's connection is closed; the answer is
  // whether it was receiving bytes that are measured.
  // `measured`: its bytes tell how fast the link is (session/link.cc, measures).
  void start(uint64_t id, uint64_t bytes, double now_s, bool measured = true);
  bool cancel(uint64_t id, double now_s);
  void cancel_all(double now_s);

  // The next moment at which a rate may change or a transfer begins or ends; at most `limit_s`.
  double next_event_s(double now_s, double limit_s);
  struct Passed {
    double bytes = 0, measured_bytes = 0;
    std::vector<Transfer> began, ended;
  };
  Passed advance(double from_s, double to_s);  // at most to next_event_s of `from_s`

  size_t running() const { return transfers_.size(); }
  double in_flight_bytes() const;

 private:
  struct Connection {
    double ready_s = 0;  // connected
    double window_bytes = 0;
    bool busy = false;
  };
  void share(double now_s);
  double request_s(const Connection& connection, double now_s) const;

  const LinkTrace& trace_;
  const SimulationParams& params_;
  std::vector<Connection> connections_;
  std::vector<Transfer> transfers_;
  double capacity_ = 0, capacity_until_s_ = -1;
  bool window_limited_ = false;
};

}  // namespace kvcast::player
