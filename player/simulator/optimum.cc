#include <algorithm>
#include <limits>

#include "player/simulator.h"
#include "player/simulator/exact_knapsack.h"
#include "player/simulator/planner_link.h"

namespace kvcast::player {
namespace {

constexpr double kQualityTolerance = 1e-6;
constexpr double kRounding_s = 1e-9;

class Planner {
 public:
  Planner(const SimulatedPresentation& presentation, const LinkTrace& trace,
          const SimulationParams& params)
      : presentation_(presentation), params_(params), link_(presentation, trace, params) {
    for (const ChunkState& chunk : chunks()) tokens_ += static_cast<double>(chunk.tokens);
    suffix_s_ = params.suffix_prefill_s * params.engine_slowdown;
  }

  Optimum find() const {
    Optimum best;
    best.least_ttft_s = std::numeric_limits<double>::infinity();
    double engine_s = 0;
    for (size_t k = 0; k <= chunks().size(); ++k) {
      if (k > 0) {
        if (!params_.recompute) break;
        engine_s += chunks()[k - 1].recompute_s * params_.engine_slowdown;
      }
      consider_fastest(k, engine_s, best);
    }
    engine_s = 0;
    std::vector<double> engine{0};
    for (const ChunkState& chunk : chunks()) {
      engine.push_back(engine.back() + chunk.recompute_s * params_.engine_slowdown);
    }
    // More recomputed chunks are never worse where engine time has no price.
    double best_worth = -std::numeric_limits<double>::infinity();
    for (size_t k = params_.recompute ? chunks().size() : 0;; --k) {
      const bool found = consider_best(k, engine[k], best, best_worth);
      if (k == 0 || (found && params_.gpu_seconds_price <= 0)) break;
    }
    return best;
  }

 private:
  const std::vector<ChunkState>& chunks() const { return presentation_.chunks; }

  double done_recomputing_s(size_t k, double engine_s) const {
    return k == 0 ? 0 : link_.manifest_s() + engine_s;
  }

  // Decoding of the last byte's chunk, at the least.
  double last_decode_s(size_t k) const {
    double least = std::numeric_limits<double>::infinity();
    for (size_t c = k; c < chunks().size(); ++c) {
      least = std::min(least, chunks()[c].ladder[chunks()[c].min_level].decode_s);
    }
    return k == chunks().size() ? 0 : least;
  }

  bool network_can(size_t k) const {
    return std::all_of(chunks().begin() + static_cast<int64_t>(k), chunks().end(),
                       [](const ChunkState& chunk) { return chunk.network_can(); });
  }

  void consider_fastest(size_t k, double engine_s, Optimum& best) const {
    if (!network_can(k)) return;
    auto bytes = static_cast<double>(k < chunks().size() ? presentation_.profile_bytes : 0);
    double quality = static_cast<double>(0);
    std::vector<int> levels;
    for (size_t c = 0; c < chunks().size(); ++c) {
      const ChunkState& chunk = chunks()[c];
      const auto tokens = static_cast<double>(chunk.tokens);
      quality += c < k ? tokens : tokens * chunk.ladder[chunk.min_level].quality;
      if (c < k) continue;
      levels.push_back(chunk.min_level);
      for (int n = 0; n <= chunk.min_level; ++n)
        bytes += static_cast<double>(chunk.ladder[n].bytes);
    }
    const double fetched_s =
        k == chunks().size() ? 0 : link_.seconds_until(bytes) + last_decode_s(k);
    const double ttft_s =
        std::max({link_.manifest_s(), done_recomputing_s(k, engine_s), fetched_s}) + suffix_s_;
    if (ttft_s >= best.least_ttft_s) return;
    best.least_ttft_s = best.ttft_s = ttft_s;
    best.quality = quality / tokens_;
    best.bytes = bytes + static_cast<double>(presentation_.manifest_bytes);
    best.gpu_seconds = engine_s;
    best.recomputed_chunks = static_cast<uint32_t>(k);
    best.levels = std::move(levels);
  }

  bool consider_best(size_t k, double engine_s, Optimum& best, double& best_worth) const {
    const double end_s = params_.ttft_slo_s - suffix_s_;
    if (std::max(done_recomputing_s(k, engine_s), link_.manifest_s()) > end_s + kRounding_s ||
        !network_can(k)) {
      return false;
    }
    const auto profile = static_cast<double>(k < chunks().size() ? presentation_.profile_bytes : 0);
    const double capacity = link_.bytes_until(end_s + kRounding_s - last_decode_s(k)) - profile;
    std::vector<std::vector<KnapsackOption>> items;
    for (size_t c = k; c < chunks().size(); ++c) items.push_back(options_of(chunks()[c]));
    const auto plan = solve_knapsack(items, capacity, kQualityTolerance * tokens_);
    if (!plan) return false;
    double quality = plan->value;
    for (size_t c = 0; c < k; ++c) quality += static_cast<double>(chunks()[c].tokens);
    quality /= tokens_;
    const double worth = quality - params_.gpu_seconds_price * engine_s;
    best.feasible = true;
    if (worth <= best_worth) return true;
    best_worth = worth;
    best.quality = quality;
    best.bytes = plan->bytes + profile + static_cast<double>(presentation_.manifest_bytes);
    best.gpu_seconds = engine_s;
    best.recomputed_chunks = static_cast<uint32_t>(k);
    best.levels.clear();
    for (size_t i = 0; i < plan->options.size(); ++i) {
      best.levels.push_back(chunks()[k + i].min_level + static_cast<int>(plan->options[i]));
    }
    const double fetched_s =
        k == chunks().size() ? 0 : link_.seconds_until(plan->bytes + profile) + last_decode_s(k);
    best.ttft_s =
        std::max({link_.manifest_s(), done_recomputing_s(k, engine_s), fetched_s}) + suffix_s_;
    return true;
  }

  static std::vector<KnapsackOption> options_of(const ChunkState& chunk) {
    std::vector<KnapsackOption> options;
    double bytes = 0;
    for (int n = 0; n <= chunk.max_level; ++n) {
      bytes += static_cast<double>(chunk.ladder[n].bytes);
      if (n < chunk.min_level) continue;
      options.push_back({bytes, static_cast<double>(chunk.tokens) * chunk.ladder[n].quality});
    }
    return options;
  }

  const SimulatedPresentation& presentation_;
  const SimulationParams& params_;
  PlannerLink link_;
  double tokens_ = 0, suffix_s_ = 0;
};

}  // namespace

Optimum find_optimum(const SimulatedPresentation& presentation, const LinkTrace& link,
                     const SimulationParams& params) {
  return Planner(presentation, link, params).find();
}

}  // namespace kvcast::player
