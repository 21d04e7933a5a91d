#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/commands/bench.h"
#include "tools/commands/command.h"
#include "tools/commands/scratch_folder.h"
#include "tools/reality/comparison.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using reality::Comparison;
using reality::Path;
using reality::Run;
using reality::Summary;

constexpr Path kPaths[] = {Path::kOrigin, Path::kProxy, Path::kShaped};

struct RealityBench {
  std::string manifest;
  std::vector<std::string> paths;
  double rtt_ms = 20;
  reality::ComparisonParams params;
  bool json = false;
};

// The store is what lies above the tenants: STORE/t/TENANT/m/ID.json.
manifests::Status locate(RealityBench& bench) {
  const size_t tenants = bench.manifest.rfind("/t/");
  if (tenants == std::string::npos) {
    return Error{ErrorKind::kUsage,
                 bench.manifest + ": a manifest in its store is needed, STORE/t/TENANT/m/ID.json"};
  }
  bench.params.store = bench.manifest.substr(0, tenants);
  bench.params.manifest = bench.manifest.substr(tenants + 1);
  bench.params.rtt_s = 1e-3 * bench.rtt_ms;
  if (bench.paths.empty()) return {};
  bench.params.paths.clear();
  for (const Path path : kPaths) {
    for (const std::string& name : bench.paths) {
      if (name == name_of(path)) bench.params.paths.push_back(path);
    }
  }
  return {};
}

bool kept(const Summary& summary, Path path) {
  return summary.median_off <= most_off(path) && summary.broken == 0 && summary.failed == 0;
}

nlohmann::ordered_json to_json(const Comparison& made, const std::vector<Path>& paths) {
  nlohmann::ordered_json json;
  json["decode_gb_per_s"] = made.machine.decode_gb_per_s;
  json["manifest_bytes"] = made.machine.manifest_bytes;
  if (!made.no_shaped_link.empty()) json["skipped"] = made.no_shaped_link;
  for (const Path path : paths) {
    const Summary all = summarise(made.runs, path);
    if (all.runs == 0) continue;
    json["paths"].push_back({{"path", name_of(path)},
                             {"runs", all.runs},
                             {"median_off", all.median_off},
                             {"bar", most_off(path)},
                             {"p90_off", all.p90_off},
                             {"promised", all.promised},
                             {"broken", all.broken},
                             {"failed", all.failed}});
  }
  json["rows"] = nlohmann::ordered_json::array();
  for (const Run& run : made.runs) {
    json["rows"].push_back({{"path", name_of(run.path)},
                            {"link", run.link},
                            {"controller", run.way.controller},
                            {"finish_early", run.way.finish_early},
                            {"ttft_slo_ms", run.slo_ms},
                            {"ttft_ms", run.real_ms},
                            {"simulated_ttft_ms", run.simulated_ms},
                            {"optimum_ttft_ms", run.least_ms},
                            {"met", run.real_met},
                            {"simulated_met", run.simulated_met},
                            {"quality", run.real_quality},
                            {"simulated_quality", run.simulated_quality}});
    if (!run.error.empty()) json["rows"].back()["error"] = run.error;
  }
  return json;
}

void print_path(const Comparison& made, Path path) {
  const Summary all = summarise(made.runs, path);
  if (all.runs == 0) return;
  fmt::print("\n{:<24}{:>6}{:>16}{:>10}{:>14}{:>18}\n", name_of(path), "plays", "median off %",
             "p90 %", "real misses", "simulated misses");
  std::vector<std::string> ways;
  for (const Run& run : made.runs) {
    if (std::find(ways.begin(), ways.end(), run.way.name()) == ways.end()) {
      ways.push_back(run.way.name());
    }
  }
  ways.emplace_back();  // all
  for (const std::string& way : ways) {
    const Summary row = summarise(made.runs, path, way);
    fmt::print("  {:<22}{:>6}{:>16.2f}{:>10.2f}{:>14}{:>18}\n", way.empty() ? "all" : way, row.runs,
               100 * row.median_off, 100 * row.p90_off, row.real_misses, row.simulated_misses);
  }
  fmt::print(
      "  TTFT {:.2f}% off in the median (bar {:.0f}%), SLO missed in {} of {} plays for which the "
      "optimum had a tenth to spare, {} failed: {}\n",
      100 * all.median_off, 100 * most_off(path), all.broken, all.promised, all.failed,
      kept(all, path) ? "kept" : "MISSED");
}

reality::Progress progress_line() {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [](size_t done, size_t all) {
    fmt::print(stderr, "\rbench reality: {} of {} plays{}", done, all, done == all ? "\n" : "");
    std::fflush(stderr);
  };
}

Result<int> run(RealityBench bench) {
  if (manifests::Status located = locate(bench); !located) return located.error();
  const ScratchFolder scratch;
  bench.params.scratch_folder = scratch.path();
  const auto made = compare(bench.params, progress_line());
  if (!made) return made.error();
  bool all_kept = true;
  for (const Path path : bench.params.paths) {
    const Summary all = summarise(made->runs, path);
    all_kept = all_kept && (all.runs == 0 || kept(all, path));
  }
  if (bench.json) {
    fmt::print("{}\n", to_json(*made, bench.params.paths).dump());
    return all_kept ? 0 : 1;
  }
  fmt::print("measured first: decoding {:.2f} GB/s of KV a plane, manifest {} bytes on the link\n",
             made->machine.decode_gb_per_s, made->machine.manifest_bytes);
  for (const Path path : bench.params.paths) print_path(*made, path);
  if (!made->no_shaped_link.empty()) fmt::print("\nshaped: skipped, {}\n", made->no_shaped_link);
  return all_kept ? 0 : 1;
}

}  // namespace

void add_bench_reality(CLI::App& bench, int& exit_code) {
  const auto options = std::make_shared<RealityBench>();
  CLI::App* command =
      bench.add_subcommand("reality", "The simulator against real plays over real sockets");
  command->add_option("manifest", options->manifest, "Of a packaged presentation, in its store")
      ->required();
  command
      ->add_option("--paths", options->paths,
                   "origin: paced by the origin; proxy: and through delay and loss; shaped: by the "
                   "kernel (tc tbf, a network namespace; root). Default all")
      ->delimiter(',')
      ->check(CLI::IsMember({"origin", "proxy", "shaped"}));
  command->add_option("--plays", options->params.plays, "Links of each family")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--rtt-ms", options->rtt_ms, "Of the proxy")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  command->add_option("--loss", options->params.loss, "Of the proxy, a segment, each way")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  command
      ->add_option("--prefill-tokens-per-s", options->params.tokens_per_s,
                   "Of the engine: one that only takes its time, so as not to share the cores")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--seed", options->params.seed, "Of links and losses")->capture_default_str();
  command->add_flag("--json", options->json, "Print one JSON object");
  command->footer(
      "Plays one after the other in real time, about a second each, on a machine that has nothing "
      "else to do.\nExit code 1 when the simulator is off by more than its bar, or an SLO was "
      "missed for which the optimum had a tenth to spare.\n"
      "Example: kvcast bench reality store/t/public/m/ID.json --paths origin,proxy --plays 5\n"
      "tools/bench_reality packs the pocket model's presentation first.");
  command->callback([options, &exit_code] {
    const Result<int> code = run(*options);
    exit_code = code ? *code : report(code.error());
  });
}

}  // namespace kvcast::tools
