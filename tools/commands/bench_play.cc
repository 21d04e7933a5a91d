#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands/bench.h"
#include "tools/commands/command.h"
#include "tools/commands/simulate_options.h"
#include "tools/simulate/matrix.h"
#include "tools/simulate/report.h"

namespace kvcast::tools {
namespace {

using manifests::Status;
using simulate::Cell;
using simulate::Row;

struct PlayBench {
  std::vector<std::string> manifests, traces, controllers;
  std::vector<std::string> synthetic = {"llama-3-8b:8192:512", "llama-3-70b:32768:1024"};
  WorldOptions world;
  simulate::MatrixParams matrix;
  bool json = false;
};

std::vector<std::string> distinct(const std::vector<Cell>& cells, std::string Cell::*member) {
  std::vector<std::string> values;
  for (const Cell& cell : cells) {
    if (std::find(values.begin(), values.end(), cell.*member) == values.end()) {
      values.push_back(cell.*member);
    }
  }
  return values;
}

nlohmann::ordered_json rows_json(const std::vector<Row>& rows) {
  auto json = nlohmann::ordered_json::array();
  for (const Row& row : rows) json.push_back(simulate::row_json(row));
  return json;
}

nlohmann::ordered_json to_json(const std::vector<Cell>& cells, const simulate::Bars& bars,
                               const simulate::DecisionTime& decision) {
  nlohmann::ordered_json json;
  json["rows"] = rows_json(rows_of(cells, [](const Cell&) { return true; }));
  for (const Cell& cell : cells) {
    json["cells"].push_back(
        {{"presentation", cell.presentation},
         {"family", cell.family},
         {"slo_factor", cell.slo_factor},
         {"ttft_slo_ms", cell.slo_ms},
         {"rate_scale", cell.rate_scale},
         {"time_scale", cell.time_scale},
         {"steps_in_slo", cell.steps_in_slo},
         {"rows", rows_json(rows_of(cell.sweep, [](size_t) { return true; }))}});
  }
  json["bars"] = {{"miss_points_above_optimum", bars.miss_points_above_optimum},
                  {"regret", bars.regret},
                  {"lead_overall", bars.lead_overall},
                  {"worst_family", bars.worst_family},
                  {"worst_family_rival", bars.worst_rival},
                  {"worst_family_behind", bars.worst_lead},
                  {"decision_mean_us", decision.mean_us},
                  {"decision_worst_us", decision.worst_us},
                  {"plays_per_minute", bars.plays_per_minute}};
  return json;
}

// Misses above the optimum's, in points, and regret, in points of quality: a line a controller.
void print_by(const std::vector<Cell>& cells, const char* what,
              const std::vector<std::string>& groups,
              const std::function<bool(const Cell&, const std::string&)>& in) {
  fmt::print("\nby {}: misses above the optimum's in points / regret x 100\n{:<18}", what, "");
  std::vector<std::vector<Row>> columns;
  for (const std::string& group : groups) {
    fmt::print("{:>14.13}", group);
    columns.push_back(rows_of(cells, [&](const Cell& cell) { return in(cell, group); }));
  }
  fmt::print("\n");
  for (size_t r = 0; r + 1 < columns.front().size(); ++r) {
    fmt::print("{:<18}", columns.front()[r].controller);
    for (const std::vector<Row>& rows : columns) {
      fmt::print("{:>14}",
                 fmt::format("{:.2f} / {:.2f}", 100 * (rows[r].miss_rate - rows.back().miss_rate),
                             100 * rows[r].regret));
    }
    fmt::print("\n");
  }
  fmt::print("{:<18}", "optimum misses %");
  for (const std::vector<Row>& rows : columns) fmt::print("{:>14.2f}", 100 * rows.back().miss_rate);
  fmt::print("\n");
}

void print(const std::vector<Cell>& cells, const simulate::Bars& bars,
           const simulate::DecisionTime& decision) {
  double steps = 1e9;
  for (const Cell& cell : cells) steps = std::min(steps, cell.steps_in_slo);
  fmt::print("{} cells, at least {:.1f} steps of a trace in an SLO\n", cells.size(), steps);
  fmt::print("{}", rows_table(rows_of(cells, [](const Cell&) { return true; })));
  print_by(cells, "family", distinct(cells, &Cell::family),
           [](const Cell& cell, const std::string& name) { return cell.family == name; });
  print_by(cells, "presentation", distinct(cells, &Cell::presentation),
           [](const Cell& cell, const std::string& name) { return cell.presentation == name; });
  std::vector<std::string> factors;
  for (const double factor : simulate::kSloFactors) factors.push_back(fmt::format("{}x", factor));
  print_by(cells, "SLO (times the median feasible)", factors,
           [](const Cell& cell, const std::string& name) {
             return fmt::format("{}x", cell.slo_factor) == name;
           });
  const auto bar = [](bool kept) { return kept ? "kept" : "MISSED"; };
  fmt::print(
      "\nlayered: misses above the optimum's {:.2f} points (bar 0.5: {}), regret {:.4f} (bar "
      "0.02: {})\n",
      bars.miss_points_above_optimum, bar(bars.miss_points_above_optimum <= 0.5), bars.regret,
      bar(bars.regret <= 0.02));
  fmt::print(
      "overall ahead of the next best by {:.4f} of quality on time ({}); worst family {}: "
      "{} is {:.4f} {}\n",
      bars.lead_overall, bar(bars.lead_overall > 0), bars.worst_family, bars.worst_rival,
      std::abs(bars.worst_lead), bars.worst_lead > 0 ? "ahead" : "behind");
  fmt::print(
      "one decision at 64 chunks x 4 levels: {:.1f} us mean, {:.1f} us worst (bar 1000: {})\n",
      decision.mean_us, decision.worst_us, bar(decision.worst_us < 1000));
  fmt::print("{:.0f} plays a minute on one core (bar 5000: {})\n", bars.plays_per_minute,
             bar(bars.plays_per_minute >= 5000));
}

Status run(const PlayBench& bench) {
  std::vector<player::SimulatedPresentation> presentations;
  for (const std::string& manifest : bench.manifests) {
    auto loaded = load_presentation(manifest, "", bench.world);
    if (!loaded) return loaded.error();
    presentations.push_back(std::move(*loaded));
  }
  for (const std::string& synthetic : bench.synthetic) {
    auto loaded = load_presentation("", synthetic, bench.world);
    if (!loaded) return loaded.error();
    presentations.push_back(std::move(*loaded));
  }
  const auto traces = simulate::load_traces(bench.traces);
  if (!traces) return traces.error();
  simulate::MatrixParams params = bench.matrix;
  params.simulation = bench.world.params();
  params.controllers = chosen_controllers(bench.controllers);
  const auto cells = run_matrix(presentations, *traces, params, progress_line("bench play"));
  if (!cells) return cells.error();
  const auto decision = simulate::time_decisions(params.controllers.front());
  if (!decision) return decision.error();
  const simulate::Bars bars = simulate::bars_of(*cells);
  if (bench.json) {
    fmt::print("{}\n", to_json(*cells, bars, *decision).dump());
  } else {
    print(*cells, bars, *decision);
  }
  return {};
}

}  // namespace

void add_bench_play(CLI::App& bench, int& exit_code) {
  const auto options = std::make_shared<PlayBench>();
  CLI::App* command = bench.add_subcommand(
      "play", "Every controller against the optimum: presentations x links x SLOs, simulated");
  command->add_option("--manifests", options->manifests, "Packaged presentations to play as well");
  command->add_option("--synthetic", options->synthetic, "As in kvcast simulate")
      ->capture_default_str();
  command
      ->add_option("--traces", options->traces,
                   "As in kvcast simulate; a folder or a synthetic kind is a family, scaled in "
                   "rate and time to each presentation")
      ->required();
  command->add_option("--controllers", options->controllers, "Which ones; default all")
      ->delimiter(',');
  command->add_option("--plays", options->matrix.plays, "Of each family, presentation and SLO")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--seed", options->matrix.seed, "Of the moments at which plays begin")
      ->capture_default_str();
  command->add_option("--threads", options->matrix.threads, "Plays simulated at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  add_world_options(*command, options->world);
  command->add_flag("--json", options->json, "Print one JSON object");
  command->footer(
      "Example: kvcast bench play --traces traces/lumos-5g traces/mahimahi markov outages\n"
      "tools/bench_adaptation packs the pocket model's presentation and runs the whole matrix.");
  command->callback([options, &exit_code] {
    const Status done = run(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace kvcast::tools
