#include "tools/simulate/matrix.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "player/controller.h"
#include "tools/simulate/presentations.h"

namespace kvcast::simulate {
namespace {

using manifests::Result;
using player::ChunkState;
using player::SimulatedPresentation;
using player::SimulationParams;

constexpr double kLinkOverEngine = 2;  // how much faster the link's lowest levels are
constexpr double kSpareSteps = 1.25;   // more than the least, before the median TTFT is known

struct Family {
  std::string name;
  std::vector<const NamedTrace*> traces;
  double step_s = 0, mean_bytes_per_s = 0;
};

std::vector<Family> families_of(const std::vector<NamedTrace>& traces) {
  std::vector<Family> families;
  for (const NamedTrace& trace : traces) {
    auto family = std::find_if(families.begin(), families.end(),
                               [&](const Family& f) { return f.name == trace.family; });
    if (family == families.end()) {
      families.push_back({trace.family, {}, 0, 0});
      family = families.end() - 1;
    }
    family->traces.push_back(&trace);
    family->step_s = std::max(family->step_s, trace.step_s);
    family->mean_bytes_per_s += trace.mean_bytes_per_s();
  }
  for (Family& family : families) {
    family.mean_bytes_per_s /= static_cast<double>(family.traces.size());
  }
  return families;
}

double text_s(const SimulatedPresentation& presentation) {
  double seconds = 0;
  for (const ChunkState& chunk : presentation.chunks) seconds += chunk.recompute_s;
  return seconds;
}

double base_bytes(const SimulatedPresentation& presentation) {
  double bytes = 0;
  for (const ChunkState& chunk : presentation.chunks) {
    for (int n = 0; n <= chunk.min_level; ++n) bytes += static_cast<double>(chunk.ladder[n].bytes);
  }
  return bytes;
}

std::vector<Scenario> scenarios(const Family& family, const Cell& cell,
                                const MatrixParams& params) {
  std::vector<Scenario> made;
  std::mt19937_64 random(params.seed);
  for (uint32_t i = 0; i < params.plays; ++i) {
    // Traces in turn, so that few plays see many of them.
    const size_t stride = std::max<size_t>(1, family.traces.size() / params.plays);
    const NamedTrace& trace = *family.traces[i * stride % family.traces.size()];
    const double share = static_cast<double>(random() >> 11) * 0x1p-53;
    made.push_back(
        {trace.looped().shifted(share * trace.seconds).scaled(cell.rate_scale, cell.time_scale)});
  }
  return made;
}

double median_least_ttft_s(const SimulatedPresentation& presentation,
                           const std::vector<Scenario>& scenarios, SimulationParams params) {
  params.ttft_slo_s = 1e-9;  // no plan meets it: only the least TTFT is worked out
  std::vector<double> least;
  for (const Scenario& scenario : scenarios) {
    least.push_back(find_optimum(presentation, scenario.link, params).least_ttft_s);
  }
  std::sort(least.begin(), least.end());
  const size_t middle = least.size() / 2;
  return least.size() % 2 == 1 ? least[middle] : (least[middle - 1] + least[middle]) / 2;
}

class Matrix {
 public:
  Matrix(const MatrixParams& params, const Progress& progress, uint64_t all)
      : params_(params), progress_(progress), all_(all) {}

  manifests::Status add(const SimulatedPresentation& presentation, const Family& family) {
    Cell cell;
    cell.presentation = presentation.name;
    cell.family = family.name;
    const double link_s = text_s(presentation) / kLinkOverEngine;
    cell.rate_scale = base_bytes(presentation) / link_s / family.mean_bytes_per_s;
    const double guess_s = text_s(presentation) / (1 + kLinkOverEngine);
    cell.time_scale = kSloFactors[0] * guess_s / (kSpareSteps * kLeastSteps * family.step_s);
    double median_s =
        median_least_ttft_s(presentation, scenarios(family, cell, params_), params_.simulation);
    const double steps = kSloFactors[0] * median_s / (cell.time_scale * family.step_s);
    if (steps < kLeastSteps) {
      cell.time_scale *= steps / (kSpareSteps * kLeastSteps);
      median_s =
          median_least_ttft_s(presentation, scenarios(family, cell, params_), params_.simulation);
    }
    const std::vector<Scenario> plays = scenarios(family, cell, params_);
    for (const double factor : kSloFactors) {
      cell.slo_factor = factor;
      cell.slo_ms = 1e3 * factor * median_s;
      cell.steps_in_slo = factor * median_s / (cell.time_scale * family.step_s);
      if (auto run = play(presentation, plays, cell); !run) return run;
    }
    return {};
  }

  std::vector<Cell> take() { return std::move(cells_); }

 private:
  manifests::Status play(const SimulatedPresentation& presentation,
                         const std::vector<Scenario>& plays, Cell cell) {
    SimulationParams simulation = params_.simulation;
    simulation.ttft_slo_s = cell.slo_ms / 1e3;
    const uint64_t before = done_;
    const Progress progress = [&](uint64_t done, uint64_t) {
      done_ = before + done;
      if (progress_) progress_(done_, all_);
    };
    auto sweep =
        run_sweep(presentation, plays, simulation, params_.controllers, params_.threads, progress);
    if (!sweep) return sweep.error();
    cell.sweep = std::move(*sweep);
    cells_.push_back(std::move(cell));
    return {};
  }

  const MatrixParams& params_;
  const Progress& progress_;
  const uint64_t all_;
  uint64_t done_ = 0;
  std::vector<Cell> cells_;
};

class TimedController final : public player::Controller {
 public:
  explicit TimedController(const player::Controller& inner) : inner_(inner) {}
  player::Choice decide(const player::Observation& seen) const override {
    const double begin_s = thread_cpu_s();
    player::Choice choice = inner_.decide(seen);
    const double took_us = 1e6 * (thread_cpu_s() - begin_s);
    ++count;
    sum_us += took_us;
    worst_us = std::max(worst_us, took_us);
    return choice;
  }
  mutable uint64_t count = 0;
  mutable double sum_us = 0, worst_us = 0;

 private:
  const player::Controller& inner_;
};

}  // namespace

Result<std::vector<Cell>> run_matrix(const std::vector<SimulatedPresentation>& presentations,
                                     const std::vector<NamedTrace>& traces,
                                     const MatrixParams& params, const Progress& progress) {
  const std::vector<Family> families = families_of(traces);
  Matrix matrix(params, progress,
                presentations.size() * families.size() * std::size(kSloFactors) * params.plays *
                    params.controllers.size());
  for (const SimulatedPresentation& presentation : presentations) {
    for (const Family& family : families) {
      if (auto added = matrix.add(presentation, family); !added) return added.error();
    }
  }
  return matrix.take();
}

std::vector<Row> rows_of(const std::vector<Cell>& cells,
                         const std::function<bool(const Cell&)>& chosen) {
  Sweep all;
  for (const Cell& cell : cells) {
    if (!chosen(cell)) continue;
    all.controllers = cell.sweep.controllers;
    all.outcomes.resize(all.controllers.size());
    for (size_t c = 0; c < all.controllers.size(); ++c) {
      const std::vector<Outcome>& more = cell.sweep.outcomes[c];
      all.outcomes[c].insert(all.outcomes[c].end(), more.begin(), more.end());
    }
    all.optimum.insert(all.optimum.end(), cell.sweep.optimum.begin(), cell.sweep.optimum.end());
  }
  return rows_of(all, [](size_t) { return true; });
}

Bars bars_of(const std::vector<Cell>& cells) {
  Bars bars;
  double seconds = 0, plays = 0;
  std::vector<std::string> families;
  for (const Cell& cell : cells) {
    seconds += cell.sweep.seconds;
    plays += static_cast<double>(cell.sweep.plays);
    if (std::find(families.begin(), families.end(), cell.family) == families.end()) {
      families.push_back(cell.family);
    }
  }
  bars.plays_per_minute = 60 * plays / std::max(1e-9, seconds);
  const auto lead = [](const std::vector<Row>& rows, std::string* rival) {
    double ours = 0, best = 0;
    for (const Row& row : rows) {
      if (row.is_default) ours = row.quality_on_time;
    }
    for (const Row& row : rows) {
      if (row.is_default || row.controller == "optimum" || row.quality_on_time <= best) continue;
      best = row.quality_on_time;
      if (rival != nullptr) *rival = row.controller;
    }
    return ours - best;
  };
  const std::vector<Row> overall = rows_of(cells, [](const Cell&) { return true; });
  for (const Row& row : overall) {
    if (!row.is_default) continue;
    bars.miss_points_above_optimum = 100 * (row.miss_rate - overall.back().miss_rate);
    bars.regret = row.regret;
  }
  bars.lead_overall = lead(overall, nullptr);
  bars.worst_lead = -1;
  for (const std::string& family : families) {
    std::string rival;
    const double behind =
        -lead(rows_of(cells, [&](const Cell& cell) { return cell.family == family; }), &rival);
    if (behind <= bars.worst_lead) continue;
    bars.worst_lead = behind;
    bars.worst_family = family;
    bars.worst_rival = rival;
  }
  return bars;
}

Result<DecisionTime> time_decisions(const std::string& name) {
  const auto controller = player::make_controller(name);
  if (!controller) return controller.error();
  const auto presentation = synthetic("llama-3-8b:65536:1024", {}, {});
  if (!presentation) return presentation.error();
  SimulationParams params;
  params.ttft_slo_s = text_s(*presentation) / 3;
  const double rate = 2 * base_bytes(*presentation) / text_s(*presentation);
  const TimedController timed(**controller);
  static_cast<void>(simulate_play(timed, *presentation, player::LinkTrace::constant(rate), params));
  return DecisionTime{timed.sum_us / static_cast<double>(std::max<uint64_t>(1, timed.count)),
                      timed.worst_us};
}

}  // namespace kvcast::simulate
