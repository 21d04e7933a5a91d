#include <algorithm>
#include <cmath>

#include "player/estimator.h"

namespace kvcast::player {
namespace {

constexpr double kForget = 0.85;
constexpr double kLeast = 0.01;  // timers, scheduling
constexpr double kDoubt = 0.2;   // with no sample; falls with their number

}  // namespace

void EngineSlack::add(double predicted_s, double actual_s) {
  if (predicted_s <= 0) return;
  const double late = std::max(0.0, actual_s / predicted_s - 1);
  above_ = kForget * above_ + late * late;
  weight_ = kForget * weight_ + 1;
  ++samples_;
}

double EngineSlack::value() const {
  const double doubt = kDoubt / (1 + 2.0 * samples_);
  return 1 + kLeast + doubt + (weight_ > 0 ? std::sqrt(above_ / weight_) : 0);
}

}  // namespace kvcast::player
