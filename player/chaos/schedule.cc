#include "player/chaos/schedule.h"

#include <fmt/format.h>

#include <cmath>
#include <random>

namespace kvcast::player {
namespace {

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed * 0x9E3779B97F4A7C15ull + 1) {}
  double unit() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  bool chance(double p) { return unit() < p; }
  double between(double low, double high) { return low + (high - low) * unit(); }
  double log_between(double low, double high) {
    return std::exp(between(std::log(low), std::log(high)));
  }
  uint64_t below(uint64_t n) { return random_() % n; }

  std::vector<Interval> intervals(double p, double slo_s) {
    std::vector<Interval> all;
    while (chance(p) && all.size() < 3) {
      const double begin = between(0, 1.2 * slo_s);
      all.push_back({begin, begin + log_between(0.02, 2 * slo_s)});
    }
    return all;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace

Schedule draw_schedule(uint64_t seed) {
  Draw draw(seed);
  Schedule s;
  s.seed = seed;
  s.slo_ms = draw.log_between(150, 2000);
  const double slo_s = s.slo_ms * 1e-3;
  s.bases = draw.chance(0.5) ? 2 : 1;
  s.latency_s = draw.log_between(0.0005, 0.03);
  for (double at = 0; at < 3 * slo_s; at += draw.log_between(0.02, 0.5)) {
    s.rates.emplace_back(at, draw.chance(0.15) ? 0 : draw.log_between(20e3, 5e6));
  }
  for (uint32_t base = 0; base < s.bases; ++base) {
    s.killed[base] = draw.intervals(0.3, slo_s);
    s.vanished[base] = draw.intervals(0.2, slo_s);
    s.nameless[base] = draw.intervals(0.1, slo_s);
  }
  s.fault_rate = draw.chance(0.3) ? 0 : draw.between(0, 0.7);
  for (int fault = 1; fault <= static_cast<int>(Fault::kStatus503); ++fault) {
    if (draw.chance(0.5)) s.faults.push_back(static_cast<Fault>(fault));
  }
  s.manifest_spared = draw.chance(0.7);
  if (draw.chance(0.25)) s.dead_from_s = draw.between(0, slo_s);
  s.engine = draw.chance(0.7);
  s.text = draw.chance(0.85);
  s.engine_s_per_chunk = draw.log_between(0.005, 0.5);
  if (draw.chance(0.15)) s.engine_fails_from = 32 * draw.below(4);
  s.sink_full = draw.chance(0.03);
  s.min_level = draw.chance(0.2) ? 1 : 0;
  return s;
}

std::string Schedule::describe() const {
  return fmt::format(
      "seed {}: SLO {:.0f} ms, {} bases, fault rate {:.2f} of {} kinds, engine {} ({:.0f} ms, "
      "fails {}), text {}, dead from {:.2f} s, sink {}",
      seed, slo_ms, bases, fault_rate, faults.size(), engine, engine_s_per_chunk * 1e3,
      engine_fails_from.has_value(), text, dead_from_s.value_or(-1), sink_full ? "full" : "fine");
}

}  // namespace kvcast::player
