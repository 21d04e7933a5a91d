#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "player/simulator.h"
#include "player/simulator/exact_knapsack.h"
#include "player/simulator/planner_link.h"
#include "player/testing/simulated.h"

namespace kvcast::player {
namespace {

using Items = std::vector<std::vector<KnapsackOption>>;

double brute_force(const Items& items, size_t from, double capacity) {
  if (capacity < 0) return -1;
  if (from == items.size()) return 0;
  double best = -1;
  for (const KnapsackOption& option : items[from]) {
    const double rest = brute_force(items, from + 1, capacity - option.bytes);
    if (rest >= 0) best = std::max(best, option.value + rest);
  }
  return best;
}

TEST(ExactKnapsack, AgreesWithTryingEverything) {
  std::mt19937_64 random(51);
  std::uniform_real_distribution<double> unit(0, 1);
  int feasible = 0;
  for (int i = 0; i < 2000; ++i) {
    Items items(1 + random() % 6);
    double all = 0;
    for (auto& options : items) {
      options.resize(1 + random() % 4);
      for (KnapsackOption& option : options) {
        // Whole numbers now and then: ties.
        option = i % 2 == 0 ? KnapsackOption{1 + 100 * unit(random), unit(random)}
                            : KnapsackOption{static_cast<double>(1 + random() % 5),
                                             static_cast<double>(random() % 5)};
        all += option.bytes;
      }
    }
    const double capacity = all * unit(random) / 2;
    const double best = brute_force(items, 0, capacity);
    const auto plan = solve_knapsack(items, capacity, 0);
    ASSERT_EQ(plan.has_value(), best >= 0);
    if (!plan) continue;
    ++feasible;
    ASSERT_NEAR(plan->value, best, 1e-9);
    double bytes = 0, value = 0;
    for (size_t n = 0; n < items.size(); ++n) {
      bytes += items[n][plan->options[n]].bytes;
      value += items[n][plan->options[n]].value;
    }
    EXPECT_NEAR(bytes, plan->bytes, 1e-9);
    EXPECT_NEAR(value, plan->value, 1e-9);
    EXPECT_LE(bytes, capacity);
  }
  EXPECT_GT(feasible, 500);
}

TEST(ExactKnapsack, SolvesSixtyFourChunksWithinItsTolerance) {
  std::mt19937_64 random(52);
  std::uniform_real_distribution<double> unit(0.9, 1.1);
  Items items(64);
  for (auto& options : items) {
    double bytes = 0;
    const double agreement[] = {0.96, 0.984, 0.996, 0.9994}, size[] = {0.68, 0.76, 1.03, 1.21};
    for (int n = 0; n < 4; ++n) {
      bytes += 1e6 * size[n] * unit(random);
      options.push_back({bytes, agreement[n] * unit(random)});
    }
  }
  const auto fine = solve_knapsack(items, 130e6, 1e-6);
  const auto coarse = solve_knapsack(items, 130e6, 1e-3);
  ASSERT_TRUE(fine && coarse);
  EXPECT_GE(fine->value, coarse->value - 1e-6);
  EXPECT_LE(fine->value, coarse->value + 1e-3);
}

// Every split, every level.
double brute_quality(const SimulatedPresentation& presentation, const LinkTrace& trace,
                     const SimulationParams& params) {
  const PlannerLink link(presentation, trace, params);
  const double end_s = params.ttft_slo_s - params.suffix_prefill_s;
  double best = -1, tokens = 0;
  for (const ChunkState& chunk : presentation.chunks) tokens += static_cast<double>(chunk.tokens);
  double engine_s = 0;
  for (size_t k = 0; k <= presentation.chunks.size(); ++k) {
    if (k > 0) engine_s += presentation.chunks[k - 1].recompute_s;
    if (k > 0 && link.manifest_s() + engine_s > end_s) break;
    Items items;
    double text = 0, decode_s = k == presentation.chunks.size() ? 0 : 1e9;
    for (size_t c = 0; c < presentation.chunks.size(); ++c) {
      const ChunkState& chunk = presentation.chunks[c];
      if (c < k) {
        text += static_cast<double>(chunk.tokens);
        continue;
      }
      decode_s = std::min(decode_s, chunk.ladder[chunk.min_level].decode_s);
      double bytes = 0;
      auto& options = items.emplace_back();
      for (int n = 0; n <= chunk.max_level; ++n) {
        bytes += static_cast<double>(chunk.ladder[n].bytes);
        if (n >= chunk.min_level) {
          options.push_back({bytes, static_cast<double>(chunk.tokens) * chunk.ladder[n].quality});
        }
      }
    }
    const double value =
        brute_force(items, 0,
                    link.bytes_until(end_s - decode_s) -
                        static_cast<double>(items.empty() ? 0 : presentation.profile_bytes));
    if (value < 0) continue;
    best = std::max(best, (text + value) / tokens - params.gpu_seconds_price * engine_s);
  }
  return best;
}

TEST(Optimum, AgreesWithTryingEverythingOnSmallPresentations) {
  std::mt19937 random(53);
  int feasible = 0;
  for (int i = 0; i < 400; ++i) {
    testing::RandomPlay play = testing::random_play(random, 1 + random() % 6);
    play.params.gpu_seconds_price = i % 3 == 0 ? 0.5 : 0;
    play.presentation.profile_bytes = random() % 20'000;
    const Optimum least = find_optimum(play.presentation, play.link, play.params);
    play.params.ttft_slo_s =
        least.least_ttft_s * std::uniform_real_distribution<double>(0.7, 2.5)(random);
    const Optimum optimum = find_optimum(play.presentation, play.link, play.params);
    const double best = brute_quality(play.presentation, play.link, play.params);
    ASSERT_EQ(optimum.feasible, best >= -0.5) << i;
    ASSERT_EQ(optimum.feasible, optimum.least_ttft_s <= play.params.ttft_slo_s) << i;
    if (!optimum.feasible) continue;
    ++feasible;
    EXPECT_NEAR(optimum.quality - play.params.gpu_seconds_price * optimum.gpu_seconds, best, 2e-6)
        << i;
    EXPECT_LE(optimum.ttft_s, play.params.ttft_slo_s + 1e-9);
    EXPECT_EQ(optimum.levels.size() + optimum.recomputed_chunks, play.presentation.chunks.size());
  }
  EXPECT_GT(feasible, 150);
}

}  // namespace
}  // namespace kvcast::player
