#include "tools/simulate/sweep.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "player/controller.h"

namespace kvcast::simulate {
namespace {

using manifests::Result;
using player::Controller;

constexpr std::string_view kDefaultController = "layered";

class Sweeper {
 public:
  Sweeper(const player::SimulatedPresentation& presentation, const std::vector<Scenario>& scenarios,
          const player::SimulationParams& params,
          const std::vector<std::unique_ptr<Controller>>& controllers, const Progress& progress,
          Sweep& sweep)
      : presentation_(presentation),
        scenarios_(scenarios),
        params_(params),
        controllers_(controllers),
        progress_(progress),
        sweep_(sweep) {
    sweep_.optimum.resize(scenarios.size());
    sweep_.outcomes.assign(controllers.size(), std::vector<Outcome>(scenarios.size()));
  }

  void work() {
    for (size_t i = next_++; i < scenarios_.size(); i = next_++) play(i);
  }

 private:
  void play(size_t i) {
    const double begin_s = thread_cpu_s();
    const player::Optimum best = find_optimum(presentation_, scenarios_[i].link, params_);
    sweep_.optimum[i] = {best.feasible, best.ttft_s, best.quality, best.bytes, best.gpu_seconds};
    uint64_t decisions = 0;
    for (size_t c = 0; c < controllers_.size(); ++c) {
      const player::SimulatedPlay play =
          simulate_play(*controllers_[c], presentation_, scenarios_[i].link, params_);
      sweep_.outcomes[c][i] = {play.met, play.ttft_s, play.quality, play.bytes, play.gpu_seconds};
      decisions += play.decisions;
    }
    const double took_s = thread_cpu_s() - begin_s;
    const std::lock_guard lock(mutex_);
    sweep_.seconds += took_s;
    sweep_.plays += controllers_.size();
    sweep_.decisions += decisions;
    if (progress_) progress_(sweep_.plays, scenarios_.size() * controllers_.size());
  }

  const player::SimulatedPresentation& presentation_;
  const std::vector<Scenario>& scenarios_;
  const player::SimulationParams& params_;
  const std::vector<std::unique_ptr<Controller>>& controllers_;
  const Progress& progress_;
  Sweep& sweep_;
  std::atomic<size_t> next_ = 0;
  std::mutex mutex_;
};

double percentile_ms(const std::vector<double>& sorted_s, double share) {
  const auto last = static_cast<double>(sorted_s.size() - 1);
  return 1e3 * sorted_s[static_cast<size_t>(share * last + 0.5)];
}

Row row_of(const std::string& name, const std::vector<Outcome>& outcomes,
           const std::vector<Outcome>& optimum, const std::function<bool(size_t)>& chosen) {
  Row row;
  row.controller = name;
  row.is_default = name == kDefaultController;
  std::vector<double> ttft_s;
  double best_on_time = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (!chosen(i)) continue;
    const Outcome& outcome = outcomes[i];
    ttft_s.push_back(outcome.ttft_s);
    row.miss_rate += outcome.met ? 0 : 1;
    row.quality += outcome.quality;
    row.quality_on_time += outcome.met ? outcome.quality : 0;
    best_on_time += optimum[i].met ? optimum[i].quality : 0;
    row.bytes += outcome.bytes;
    row.gpu_seconds += outcome.gpu_seconds;
  }
  row.runs = ttft_s.size();
  if (ttft_s.empty()) return row;
  row.regret = best_on_time - row.quality_on_time;
  for (double* sum : {&row.miss_rate, &row.quality, &row.quality_on_time, &row.regret, &row.bytes,
                      &row.gpu_seconds}) {
    *sum /= static_cast<double>(row.runs);
  }
  std::sort(ttft_s.begin(), ttft_s.end());
  row.ttft_p50_ms = percentile_ms(ttft_s, 0.5);
  row.ttft_p95_ms = percentile_ms(ttft_s, 0.95);
  row.ttft_p99_ms = percentile_ms(ttft_s, 0.99);
  return row;
}

}  // namespace

double thread_cpu_s() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

std::vector<Scenario> scenarios_of(const std::vector<NamedTrace>& traces,
                                   const ScenarioParams& params) {
  std::vector<Scenario> scenarios;
  std::mt19937_64 random(params.seed);
  for (const NamedTrace& trace : traces) {
    if (params.offsets == 0) {
      scenarios.push_back({trace.held().scaled(params.rate_scale, params.time_scale)});
    }
    for (uint32_t n = 0; n < params.offsets; ++n) {
      const double share = static_cast<double>(random() >> 11) * 0x1p-53;
      scenarios.push_back({trace.looped()
                               .shifted(share * trace.seconds)
                               .scaled(params.rate_scale, params.time_scale)});
    }
  }
  return scenarios;
}

Result<Sweep> run_sweep(const player::SimulatedPresentation& presentation,
                        const std::vector<Scenario>& scenarios,
                        const player::SimulationParams& params,
                        const std::vector<std::string>& names, unsigned threads,
                        const Progress& progress) {
  std::vector<std::unique_ptr<Controller>> controllers;
  for (const std::string& name : names) {
    auto controller = player::make_controller(name);
    if (!controller) return controller.error();
    controllers.push_back(std::move(*controller));
  }
  Sweep sweep;
  sweep.controllers = names;
  Sweeper sweeper(presentation, scenarios, params, controllers, progress, sweep);
  std::vector<std::jthread> workers;
  for (unsigned i = 1; i < threads; ++i) workers.emplace_back([&] { sweeper.work(); });
  sweeper.work();
  workers.clear();
  return sweep;
}

std::vector<Row> rows_of(const Sweep& sweep, const std::function<bool(size_t)>& chosen) {
  std::vector<Row> rows;
  for (size_t c = 0; c < sweep.controllers.size(); ++c) {
    rows.push_back(row_of(sweep.controllers[c], sweep.outcomes[c], sweep.optimum, chosen));
  }
  rows.push_back(row_of("optimum", sweep.optimum, sweep.optimum, chosen));
  return rows;
}

}  // namespace kvcast::simulate
