#include "player/estimator.h"

namespace kvcast::player {
namespace {

// Measured on two shared cores with other work on them (tools/demo_run.py --runs 20): what comes
// after the freeze, 20 to 50 ms, ends up to 10 ms later than planned, and rarely 25 ms.
constexpr double kLeastMargin_s = 0.015;
constexpr double kMarginShare = 0.25;

}  // namespace

double freeze_time(double deadline_s, double suffix_prefill_s, double pending_decode_s) {
  const double tail_s = suffix_prefill_s + pending_decode_s;
  return deadline_s - tail_s - kLeastMargin_s - kMarginShare * tail_s;
}

}  // namespace kvcast::player
