// Progress of `kvcast pack` on stderr: a bar with rate and time left on a terminal, else a line
// every few seconds.
#pragma once

#include <chrono>
#include <string>

#include "packager/packager.h"

namespace kvcast::tools {

// One thread at a time.
class PackProgressLine {
 public:
  PackProgressLine();
  void show(const packager::PackProgress& progress);
  void end();  // wipes the bar

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(const packager::PackProgress& progress, Clock::time_point now) const;

  const bool terminal_;
  packager::PackPhase phase_ = packager::PackPhase::kMeasuring;
  Clock::time_point phase_start_, shown_;
  bool drawn_ = false;
};

}  // namespace kvcast::tools
