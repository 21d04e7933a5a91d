#include "player/estimator/normal.h"

#include <algorithm>
#include <cmath>

namespace kvcast::player {

double normal_quantile(double p) {
  p = std::clamp(p, 1e-6, 1 - 1e-6);
  const double t = std::sqrt(-2 * std::log(std::min(p, 1 - p)));
  const double above = 2.515517 + t * (0.802853 + t * 0.010328);
  const double below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308));
  const double z = t - above / below;
  return p < 0.5 ? -z : z;
}

}  // namespace kvcast::player
