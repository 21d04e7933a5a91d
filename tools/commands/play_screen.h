// What `kvcast play` shows: a progress line on a terminal while it runs, a summary at the end.
#pragma once

#include <string>
#include <vector>

#include "player/report.h"

namespace kvcast::tools {

// Keeps all events for the report.
class Screen {
 public:
  explicit Screen(bool progress) : progress_(progress) {}
  void show(const player::PlayEvent& event);
  void end();  // wipes the progress line
  const std::vector<player::PlayEvent>& events() const { return events_; }

 private:
  std::vector<player::PlayEvent> events_;
  bool progress_;
  uint32_t fetched_ = 0, decoded_ = 0, recomputed_ = 0;
  double shown_ms_ = -1e9;
};

void print_summary(const player::PlayReport& report, const std::string& continuation);

}  // namespace kvcast::tools
