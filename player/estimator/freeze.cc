#include "player/estimator.h"

#include <algorithm>

namespace kvcast::player {
namespace {

// Scheduling and wake-ups cost milliseconds whatever the size; rates drift by some percent.
constexpr double kLeastMargin_s = 0.010;
constexpr double kMarginShare = 0.05;

}  // namespace

double freeze_time(double deadline_s, double suffix_prefill_s, double pending_decode_s) {
  const double tail_s = suffix_prefill_s + pending_decode_s;
  return deadline_s - tail_s - std::max(kLeastMargin_s, kMarginShare * tail_s);
}

}  // namespace kvcast::player
