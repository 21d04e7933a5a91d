#include "tools/commands/simulate_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "manifests/file.h"
#include "manifests/manifest.h"
#include "player/controller.h"

namespace kvcast::tools {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

player::SimulationParams WorldOptions::params() const {
  player::SimulationParams params;
  params.suffix_prefill_s = suffix_ms / 1e3;
  params.rtt_s = rtt_ms / 1e3;
  params.server_s = server_ms / 1e3;
  params.response_header_bytes = header_bytes;
  params.connections = connections;
  params.slow_start = !no_slow_start;
  params.recompute = !no_text;
  params.engine_slowdown = engine_slowdown;
  params.gpu_seconds_price = gpu_seconds_price;
  params.finish_early = finish_early;
  return params;
}

simulate::Speeds WorldOptions::speeds() const {
  simulate::Speeds speeds;
  if (prefill_tokens_per_s > 0) speeds.prefill_tokens_per_s = prefill_tokens_per_s;
  if (position_cost >= 0) speeds.position_cost = position_cost;
  if (decode_gb_per_s > 0) speeds.decode_gb_per_s = decode_gb_per_s;
  return speeds;
}

simulate::Selection WorldOptions::levels() const {
  simulate::Selection levels = selection;
  if (max_level >= 0) levels.max_level = static_cast<uint32_t>(max_level);
  return levels;
}

void add_world_options(CLI::App& command, WorldOptions& options) {
  const auto positive = CLI::PositiveNumber;
  const auto not_negative = CLI::NonNegativeNumber;
  command.add_option("--rtt-ms", options.rtt_ms, "Round trip to the origin")
      ->check(not_negative)
      ->capture_default_str();
  command
      .add_option("--server-ms", options.server_ms, "From a request's arrival to its first byte")
      ->check(not_negative)
      ->capture_default_str();
  command
      .add_option("--header-bytes", options.header_bytes,
                  "Of each response, on the link before its body; the optimum has none")
      ->check(not_negative)
      ->capture_default_str();
  command.add_option("--connections", options.connections, "Parallel connections")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_flag("--no-slow-start", options.no_slow_start,
                   "Transfers begin at the link's rate, not at ten segments a round trip");
  command
      .add_option("--prefill-tokens-per-s", options.prefill_tokens_per_s,
                  "Of recomputation, at position 0; default: of the pocket engine, or by the "
                  "synthetic model's operations")
      ->check(positive);
  command
      .add_option("--position-cost", options.position_cost,
                  "Share that each earlier token adds to a token's recomputation")
      ->check(not_negative);
  command
      .add_option("--engine-slowdown", options.engine_slowdown,
                  "Recomputation takes so many times what the engine says beforehand")
      ->check(positive)
      ->capture_default_str();
  command
      .add_option("--decode-gb-per-s", options.decode_gb_per_s, "KV written by decoding a plane")
      ->check(positive);
  command
      .add_option("--suffix-ms", options.suffix_ms,
                  "What the engine still needs for the first token once KV is there")
      ->check(not_negative)
      ->capture_default_str();
  command.add_flag("--no-text", options.no_text, "Nothing can be recomputed");
  command
      .add_option("--gpu-seconds-price", options.gpu_seconds_price,
                  "Quality (0 to 1) that a second of recomputation must bring")
      ->check(not_negative);
  command.add_option("--min-level", options.selection.min_level, "No chunk below this level");
  command.add_option("--max-level", options.max_level, "No plane above this level")
      ->check(not_negative);
  command.add_flag("--finish-early", options.finish_early,
                   "Start as soon as every chunk has its least level");
}

void add_simulate_options(CLI::App& command, SimulateOptions& options) {
  command.add_option("manifest", options.manifest, "Manifest of a packaged presentation");
  command.add_option(
      "--synthetic", options.synthetic,
      "Instead: llama-3-8b:TOKENS[:CHUNK_TOKENS] or llama-3-70b:..., sizes from bits "
      "per element measured on the pocket model");
  command
      .add_option("--traces", options.traces,
                  "Files (`seconds Mbit/s` lines, Mahimahi, CacheGen's bw.jsonl, recordings of "
                  "play --record), folders, or families: constant, steps, markov, outages, as in "
                  "markov:seed=1,count=100,mean=40")
      ->required();
  command.add_option("--ttft-slo-ms", options.ttft_slo_ms, "Deadline of the first token")
      ->required()
      ->check(CLI::PositiveNumber);
  command.add_option("--controllers", options.controllers, "Which ones; default all of them")
      ->delimiter(',');
  command.add_option("--rate-scale", options.scenarios.rate_scale, "Factor on all rates")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--time-scale", options.scenarios.time_scale,
                  "Factor on all times: 0.1 makes links change ten times as fast")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--offsets", options.scenarios.offsets,
                  "Plays a trace, each from a random moment of it; 0: one, from its beginning")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  command.add_option("--seed", options.scenarios.seed, "Of the random moments")
      ->capture_default_str();
  add_world_options(command, options.world);
  command.add_option("--threads", options.threads, "Plays simulated at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command.add_option("--svg", options.svg,
                     "File to draw into: misses against quality over SLOs, and TTFTs");
  command.add_option("--report", options.report,
                     "Folder for the page of one play (report.html, and what play --report writes "
                     "beside it): of the first of the controllers, on --report-link");
  command
      .add_option("--report-link", options.report_link,
                  "Which link that play is on, from 0, in the order of the traces and offsets")
      ->capture_default_str();
  command.add_flag("--json", options.json, "Print one JSON object");
  command.footer(
      "Examples:\n"
      "  kvcast simulate store/t/public/m/ID.json --traces 5g.trace --ttft-slo-ms 500\n"
      "  kvcast simulate --synthetic llama-3-8b:8192 --traces markov:mean=4000 --ttft-slo-ms 300 "
      "--svg out.svg\n"
      "  kvcast simulate --synthetic llama-3-8b:8192 --traces outages:mean=4000 --ttft-slo-ms 300 "
      "--report out --report-link 7\n"
      "  kvcast simulate ID.json --traces traces/ --rate-scale 20 --time-scale 0.05 --offsets 5 "
      "--controllers layered,cachegen-paper --ttft-slo-ms 500 --json\n"
      "The row \"optimum\" is the best a planner could do that knows the trace; regret is what a "
      "controller's quality on time\nlacks of the optimum's. Exit code 0 whatever was missed.");
}

Result<player::SimulatedPresentation> load_presentation(const std::string& manifest,
                                                        const std::string& synthetic,
                                                        const WorldOptions& world) {
  if (manifest.empty() == synthetic.empty()) {
    return Error{ErrorKind::kUsage, "give either a manifest or --synthetic"};
  }
  if (!synthetic.empty()) return simulate::synthetic(synthetic, world.speeds(), world.levels());
  const auto bytes = manifests::read_file(manifest, manifests::kMaxManifestBytes);
  if (!bytes) return bytes.error();
  const auto read = manifests::read_manifest(
      {reinterpret_cast<const char*>(bytes->data()), bytes->size()}, manifest);
  if (!read) return read.error();
  return simulate::from_manifest(*read, bytes->size(), world.speeds(), world.levels());
}

std::vector<std::string> chosen_controllers(const std::vector<std::string>& named) {
  if (!named.empty()) return named;
  std::vector<std::string> all;
  for (const std::string_view name : player::controller_names()) all.emplace_back(name);
  for (const char* fixed : {"fixed:1", "fixed:2", "fixed:3"}) all.emplace_back(fixed);
  return all;
}

simulate::Progress progress_line(const char* what) {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [what](uint64_t done, uint64_t all) {
    if (done % 64 != 0 && done != all) return;
    fmt::print(stderr, "\r{}: {} of {} plays{}", what, done, all, done == all ? "\n" : "");
    std::fflush(stderr);
  };
}

}  // namespace kvcast::tools
