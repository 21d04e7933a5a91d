#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands/command.h"
#include "tools/commands/simulate_options.h"
#include "tools/simulate/play_report.h"
#include "tools/simulate/report.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;
using simulate::Row;

constexpr double kSweptSlos[] = {0.5, 0.7, 0.85, 1, 1.2, 1.5, 2};

struct Job {
  player::SimulatedPresentation presentation;
  std::vector<simulate::Scenario> scenarios;
  player::SimulationParams params;
  std::vector<std::string> controllers;
};

Result<Job> prepare(const SimulateOptions& options) {
  Job job;
  auto presentation = load_presentation(options.manifest, options.synthetic, options.world);
  if (!presentation) return presentation.error();
  const auto traces = simulate::load_traces(options.traces);
  if (!traces) return traces.error();
  const double plays =
      static_cast<double>(traces->size()) * std::max(1u, options.scenarios.offsets);
  if (plays > simulate::kMostTraces) {
    return Error{ErrorKind::kUsage, fmt::format("simulate: {:.0f} plays of each controller, the "
                                                "limit is {}: fewer --offsets or traces",
                                                plays, simulate::kMostTraces)};
  }
  job.presentation = std::move(*presentation);
  job.scenarios = simulate::scenarios_of(*traces, options.scenarios);
  job.params = options.world.params();
  job.params.ttft_slo_s = options.ttft_slo_ms / 1e3;
  job.controllers = chosen_controllers(options.controllers);
  return job;
}

Result<simulate::Sweep> sweep(const Job& job, const SimulateOptions& options, double slo_factor) {
  player::SimulationParams params = job.params;
  params.ttft_slo_s *= slo_factor;
  return run_sweep(job.presentation, job.scenarios, params, job.controllers, options.threads,
                   progress_line("simulate"));
}

Status report_one(const Job& job, const SimulateOptions& options) {
  if (options.report_link >= job.scenarios.size()) {
    return Error{ErrorKind::kUsage, fmt::format("simulate: there is no link {}, they are 0 to {}",
                                                options.report_link, job.scenarios.size() - 1)};
  }
  return simulate::write_play_report(options.report, job.presentation,
                                     job.scenarios[options.report_link].link, job.params,
                                     job.controllers.front());
}

bool all(size_t) {
  return true;
}

Status draw(const Job& job, const SimulateOptions& options, const simulate::Sweep& at_slo) {
  std::vector<std::pair<double, std::vector<Row>>> by_slo_ms;
  for (const double factor : kSweptSlos) {
    if (factor == 1) {
      by_slo_ms.emplace_back(options.ttft_slo_ms, rows_of(at_slo, all));
      continue;
    }
    const auto swept = sweep(job, options, factor);
    if (!swept) return swept.error();
    by_slo_ms.emplace_back(factor * options.ttft_slo_ms, rows_of(*swept, all));
  }
  std::ofstream out(options.svg, std::ios::binary);
  out << rows_svg(job.presentation.name, options.ttft_slo_ms, at_slo, by_slo_ms);
  out.flush();
  if (!out) return Error{ErrorKind::kIo, fmt::format("{}: cannot be written", options.svg)};
  return {};
}

Status run(const SimulateOptions& options) {
  const auto job = prepare(options);
  if (!job) return job.error();
  const auto swept = sweep(*job, options, 1);
  if (!swept) return swept.error();
  if (!options.svg.empty()) {
    if (Status drawn = draw(*job, options, *swept); !drawn) return drawn;
  }
  if (!options.report.empty()) {
    if (Status written = report_one(*job, options); !written) return written;
  }
  const std::vector<Row> rows = rows_of(*swept, all);
  if (!options.json) {
    fmt::print("{}: {} chunks, {:.1f} MB raw, SLO {:.4g} ms, {} links\n{}", job->presentation.name,
               job->presentation.chunks.size(),
               static_cast<double>(job->presentation.raw_bytes) / 1e6, options.ttft_slo_ms,
               job->scenarios.size(), rows_table(rows));
    return {};
  }
  nlohmann::ordered_json json;
  json["presentation"] = job->presentation.name;
  json["ttft_slo_ms"] = options.ttft_slo_ms;
  json["links"] = job->scenarios.size();
  json["rate_scale"] = options.scenarios.rate_scale;
  json["time_scale"] = options.scenarios.time_scale;
  json["rows"] = nlohmann::ordered_json::array();
  for (const Row& row : rows) json["rows"].push_back(simulate::row_json(row));
  fmt::print("{}\n", json.dump());
  return {};
}

}  // namespace

void add_simulate_command(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<SimulateOptions>();
  CLI::App* command = app.add_subcommand(
      "simulate", "Play a presentation over many links in virtual time, with every controller");
  add_simulate_options(*command, *options);
  command->callback([options, &exit_code] {
    const Status done = run(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace kvcast::tools
