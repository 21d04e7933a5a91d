#include "player/simulator/exact_knapsack.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace kvcast::player {
namespace {

struct Increment {
  double bytes = 0, value = 0;
  double slope() const { return value / bytes; }
};

// Options that might be chosen, by bytes, each worth more than all smaller ones.
std::vector<size_t> undominated(const std::vector<KnapsackOption>& options) {
  std::vector<size_t> order(options.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return options[a].bytes != options[b].bytes ? options[a].bytes < options[b].bytes
                                                : options[a].value > options[b].value;
  });
  std::vector<size_t> kept;
  for (const size_t i : order) {
    if (kept.empty() || options[i].value > options[kept.back()].value) kept.push_back(i);
  }
  return kept;
}

// Steps along the upper convex hull, steepest first.
std::vector<Increment> hull(const std::vector<KnapsackOption>& options,
                            const std::vector<size_t>& kept) {
  std::vector<KnapsackOption> corners;
  for (const size_t i : kept) {
    const KnapsackOption& next = options[i];
    while (corners.size() >= 2) {
      const KnapsackOption &a = corners[corners.size() - 2], &b = corners.back();
      if ((b.value - a.value) * (next.bytes - a.bytes) >
          (next.value - a.value) * (b.bytes - a.bytes)) {
        break;
      }
      corners.pop_back();
    }
    corners.push_back(next);
  }
  std::vector<Increment> steps;
  for (size_t i = 1; i < corners.size(); ++i) {
    steps.push_back(
        {corners[i].bytes - corners[i - 1].bytes, corners[i].value - corners[i - 1].value});
  }
  return steps;
}

// Of the items from one on: what so many bytes bring, beyond the smallest options, if steps could
// be cut (bound) and with whole steps only (reached).
class Relaxation {
 public:
  explicit Relaxation(std::vector<Increment> steps) : steps_(std::move(steps)) {
    std::stable_sort(steps_.begin(), steps_.end(),
                     [](const Increment& a, const Increment& b) { return a.slope() > b.slope(); });
    bytes_.push_back(0);
    values_.push_back(0);
    for (const Increment& step : steps_) {
      bytes_.push_back(bytes_.back() + step.bytes);
      values_.push_back(values_.back() + step.value);
    }
  }
  struct Value {
    double bound = 0, reached = 0;
  };
  Value at(double bytes) const {
    const auto after = std::upper_bound(bytes_.begin(), bytes_.end(), bytes);
    const auto whole = static_cast<size_t>(after - bytes_.begin()) - 1;
    const double reached = values_[whole];
    if (whole == steps_.size()) return {reached, reached};
    return {reached + (bytes - bytes_[whole]) * steps_[whole].slope(), reached};
  }

 private:
  std::vector<Increment> steps_;
  std::vector<double> bytes_, values_;
};

struct State {
  double bytes = 0, value = 0;
  uint32_t parent = 0, option = 0;
};

class Solver {
 public:
  Solver(const std::vector<std::vector<KnapsackOption>>& items, double capacity, double tolerance)
      : items_(items), tolerance_(tolerance) {
    std::vector<Increment> steps;
    rest_bytes_.assign(items.size() + 1, 0);
    rest_value_.assign(items.size() + 1, 0);
    rest_.emplace_back(steps);
    for (size_t i = items.size(); i-- > 0;) {
      kept_.push_back(undominated(items[i]));
      const std::vector<Increment> more = hull(items[i], kept_.back());
      steps.insert(steps.end(), more.begin(), more.end());
      rest_.emplace_back(steps);
      const KnapsackOption& least = items[i][kept_.back().front()];
      rest_bytes_[i] = rest_bytes_[i + 1] + least.bytes;
      rest_value_[i] = rest_value_[i + 1] + least.value;
    }
    std::reverse(kept_.begin(), kept_.end());
    std::reverse(rest_.begin(), rest_.end());
    capacity_ = capacity;
  }

  std::optional<KnapsackPlan> solve() {
    if (rest_bytes_[0] > capacity_) return std::nullopt;
    levels_.push_back({State{}});
    for (size_t i = 0; i < items_.size(); ++i) levels_.push_back(extend(i));
    return trace_back();
  }

 private:
  // All states after one more item, pruned.
  std::vector<State> extend(size_t i) {
    std::vector<State> next;
    const std::vector<State>& before = levels_.back();
    for (uint32_t parent = 0; parent < before.size(); ++parent) {
      for (const size_t option : kept_[i]) {
        const State state{before[parent].bytes + items_[i][option].bytes,
                          before[parent].value + items_[i][option].value, parent,
                          static_cast<uint32_t>(option)};
        const double room = capacity_ - state.bytes - rest_bytes_[i + 1];
        if (room < 0) break;  // kept options grow
        const auto [bound, reached] = rest_[i + 1].at(room);
        const double least = state.value + rest_value_[i + 1];
        best_ = std::max(best_, least + reached);
        if (least + bound >= best_ - 1e-12 * best_) next.push_back(state);
      }
    }
    return without_dominated(std::move(next), i + 1);
  }

  std::vector<State> without_dominated(std::vector<State> states, size_t next_item) const {
    std::sort(states.begin(), states.end(), [](const State& a, const State& b) {
      return a.bytes != b.bytes ? a.bytes < b.bytes : a.value > b.value;
    });
    const double least_gain = tolerance_ / static_cast<double>(items_.size());
    std::vector<State> kept;
    for (const State& state : states) {
      const double room = capacity_ - state.bytes - rest_bytes_[next_item];
      const double bound = state.value + rest_value_[next_item] + rest_[next_item].at(room).bound;
      if (bound < best_ - 1e-12 * best_) continue;
      if (kept.empty() || state.value > kept.back().value + least_gain) kept.push_back(state);
    }
    return kept;
  }

  KnapsackPlan trace_back() const {
    const std::vector<State>& last = levels_.back();
    KnapsackPlan plan;
    plan.options.resize(items_.size());
    auto best = static_cast<uint32_t>(
        std::max_element(last.begin(), last.end(),
                         [](const State& a, const State& b) { return a.value < b.value; }) -
        last.begin());
    plan.bytes = last[best].bytes;
    plan.value = last[best].value;
    for (size_t i = items_.size(); i-- > 0;) {
      plan.options[i] = levels_[i + 1][best].option;
      best = levels_[i + 1][best].parent;
    }
    return plan;
  }

  const std::vector<std::vector<KnapsackOption>>& items_;
  const double tolerance_;
  double capacity_ = 0, best_ = 0;
  std::vector<std::vector<size_t>> kept_;
  std::vector<Relaxation> rest_;
  std::vector<double> rest_bytes_, rest_value_;
  std::vector<std::vector<State>> levels_;
};

}  // namespace

std::optional<KnapsackPlan> solve_knapsack(const std::vector<std::vector<KnapsackOption>>& items,
                                           double capacity_bytes, double tolerance) {
  return Solver(items, capacity_bytes, tolerance).solve();
}

}  // namespace kvcast::player
