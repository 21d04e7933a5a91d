#include "player/download/base_set.h"

#include <algorithm>
#include <tuple>

#include "player/download/backoff.h"

namespace kvcast::player {

std::optional<BaseSet::Choice> BaseSet::choose(const std::vector<size_t>& avoided, int64_t now_ns,
                                               std::mt19937_64& random) const {
  std::vector<size_t> best;  // in favour, of equal priority
  std::optional<size_t> soonest;
  const auto order = [&](size_t base) {
    const Base& b = bases_[base];
    return std::tuple(b.closed_until_ns, b.excluded_until_ns, b.priority);
  };
  for (size_t base = 0; base < bases_.size(); ++base) {
    if (std::find(avoided.begin(), avoided.end(), base) != avoided.end()) continue;
    if (!soonest || order(base) < order(*soonest)) soonest = base;
    if (!favours(base, now_ns)) continue;
    if (!best.empty() && bases_[base].priority < bases_[best.front()].priority) best.clear();
    if (best.empty() || bases_[base].priority == bases_[best.front()].priority) {
      best.push_back(base);
    }
  }
  if (!best.empty()) return Choice{choose_by_weight(best, random), true, now_ns};
  if (!soonest) return std::nullopt;
  return Choice{*soonest, false, std::max(now_ns, bases_[*soonest].closed_until_ns)};
}

size_t BaseSet::choose_by_weight(const std::vector<size_t>& equals, std::mt19937_64& random) const {
  double total = 0;
  for (size_t base : equals) total += bases_[base].weight;
  double point = uniform(random) * total;
  for (size_t base : equals) {
    point -= bases_[base].weight;
    if (point < 0) return base;
  }
  return equals.front();  // all weights zero
}

bool BaseSet::favours(size_t base, int64_t now_ns) const {
  return bases_[base].excluded_until_ns <= now_ns && bases_[base].closed_until_ns <= now_ns;
}

void BaseSet::exclude(size_t base, int64_t until_ns) {
  bases_[base].excluded_until_ns = std::max(bases_[base].excluded_until_ns, until_ns);
}

void BaseSet::close(size_t base, int64_t until_ns) {
  bases_[base].closed_until_ns = std::max(bases_[base].closed_until_ns, until_ns);
}

}  // namespace kvcast::player
