// What a planner can have from a link: no order, no request overhead, but nothing before the
// manifest and one more round trip, nor faster than all congestion windows allow when each doubles
// every round trip from its first byte on.
#pragma once

#include <vector>

#include "player/simulator.h"

namespace kvcast::player {

class PlannerLink {
 public:
  PlannerLink(const SimulatedPresentation& presentation, const LinkTrace& trace,
              const SimulationParams& params);

  double manifest_s() const { return manifest_s_; }  // when it is here, at the earliest
  double bytes_until(double seconds) const;          // of objects
  double seconds_until(double bytes) const;

 private:
  // By `at_s` at most `window_bytes` can have come, and from then on what the trace carries.
  struct Bend {
    double at_s = 0, window_bytes = 0, trace_bytes = 0;
  };
  const LinkTrace& trace_;
  double manifest_s_ = 0;
  std::vector<Bend> bends_;  // the first is the first possible byte
};

}  // namespace kvcast::player
