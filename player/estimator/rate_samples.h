// The link's history as controllers see it: bytes and receiving time between ends of transfers.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "player/controller.h"

namespace kvcast::player {

class RateSamples {
 public:
  void body_begins(double now_s);
  void data(double now_s, double bytes);
  void body_ends(double now_s);

  // Ended samples, and what is under way where that says something already.
  void latest(double now_s, std::vector<RateSample>& history) const;

 private:
  void pass(double now_s);
  std::deque<RateSample> samples_;
  RateSample open_;
  double last_s_ = 0;
  uint32_t receiving_ = 0;
};

}  // namespace kvcast::player
