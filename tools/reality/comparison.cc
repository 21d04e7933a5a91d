#include "tools/reality/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string_view>

#include "manifests/file.h"
#include "player/controller.h"
#include "tools/reality/shaped_link.h"
#include "tools/simulate/families.h"
#include "tools/simulate/presentations.h"

namespace kvcast::reality {
namespace {

using manifests::Result;
using player::LinkTrace;
using player::SimulatedPresentation;
using player::SimulationParams;

constexpr double kLoopbackRtt_s = 0.0002;
constexpr double kHeaderBytes = 666;   // of our origin's answer with an object
constexpr double kLinkOverEngine = 2;  // all lowest levels take half the time of all text
constexpr double kTraceSeconds = 30;
constexpr std::chrono::minutes kPatience{1};  // a late play goes on, as a simulated one does
constexpr const char* kFamilies[] = {"constant", "steps", "markov", "outages"};
constexpr double kSloFactors[] = {1, 1.5};  // times the median of what the optimum needs

const Way kWays[] = {
    {"layered"}, {"layered", true}, {"fixed:2"}, {"robust-mpc"}, {"cachegen-paper"}};

struct Link {
  std::string name;
  std::vector<LinkTrace::Step> steps;
};

double text_s(const SimulatedPresentation& presentation) {
  double seconds = 0;
  for (const player::ChunkState& chunk : presentation.chunks) seconds += chunk.recompute_s;
  return seconds;
}

double base_bytes(const SimulatedPresentation& presentation) {
  double bytes = 0;
  for (const player::ChunkState& chunk : presentation.chunks) {
    bytes += static_cast<double>(chunk.ladder.front().bytes);
  }
  return bytes;
}

class Comparer {
 public:
  Comparer(const ComparisonParams& params, const SimulatedPresentation& presentation)
      : params_(params), presentation_(presentation) {}

  // Every link of the path, in every way, at every SLO.
  struct Todo {
    Path path;
    Link link;
    double slo_s;
    Way way;
  };
  Result<std::vector<Todo>> todo(Path path) const {
    const auto all = links(path);
    if (!all) return all.error();
    std::vector<double> least;
    for (const Link& link : *all) least.push_back(least_s(path, link));
    const auto middle = least.begin() + static_cast<int64_t>(least.size() / 2);
    std::nth_element(least.begin(), middle, least.end());
    std::vector<Todo> list;
    for (const Link& link : *all) {
      for (const double factor : kSloFactors) {
        for (const Way& way : kWays) list.push_back({path, link, factor * *middle, way});
      }
    }
    return list;
  }

  Run run(const Todo& what, uint64_t seed) const {
    Run run;
    run.path = what.path;
    run.link = what.link.name;
    run.way = what.way;
    run.slo_ms = 1e3 * what.slo_s;
    run.least_ms = 1e3 * least_s(what.path, what.link);
    simulate(what, run);
    play(what, seed, run);
    return run;
  }

 private:
  Result<std::vector<Link>> links(Path path) const {
    const double mean = kLinkOverEngine * base_bytes(presentation_) / text_s(presentation_);
    std::vector<Link> links;
    for (const char* family : kFamilies) {
      if (path == Path::kShaped && std::string_view(family) != "constant") continue;
      auto traces = simulate::make_family(
          fmt::format("{}:seed={},count={},mean={:.6f},seconds={},step=0.05", family, params_.seed,
                      params_.plays, mean * 8 / 1e6, kTraceSeconds));
      if (!traces) return traces.error();
      for (simulate::NamedTrace& trace : *traces) {
        links.push_back({trace.name, std::move(trace.steps)});
      }
    }
    return links;
  }

  // As the player sees it: what the proxy lets through comes a round trip later than the handshake
  // and the request that started the origin's clock.
  LinkTrace seen(Path path, const Link& link) const {
    if (path != Path::kProxy) return LinkTrace(link.steps);
    std::vector<LinkTrace::Step> steps{{0, link.steps.front().bytes_per_s}};
    for (const LinkTrace::Step& step : link.steps) {
      steps.push_back({step.begin_s + 2 * params_.rtt_s, step.bytes_per_s});
    }
    return LinkTrace(std::move(steps));
  }

  SimulationParams world(Path path) const {
    SimulationParams world;
    world.rtt_s = path == Path::kProxy ? params_.rtt_s : kLoopbackRtt_s;
    world.response_header_bytes = kHeaderBytes;
    return world;
  }

  double least_s(Path path, const Link& link) const {
    SimulationParams params = world(path);
    params.ttft_slo_s = 1e-9;  // no plan meets it: only the least TTFT is worked out
    return find_optimum(presentation_, seen(path, link), params).least_ttft_s;
  }

  void simulate(const Todo& what, Run& run) const {
    SimulationParams params = world(what.path);
    params.ttft_slo_s = what.slo_s;
    params.finish_early = what.way.finish_early;
    const auto controller = player::make_controller(what.way.controller);
    const player::SimulatedPlay play =
        simulate_play(**controller, presentation_, seen(what.path, what.link), params);
    run.simulated_ms = 1e3 * play.ttft_s;
    run.simulated_met = play.met;
    run.simulated_quality = play.quality;
  }

  void play(const Todo& what, uint64_t seed, Run& run) const {
    RealPlay real;
    real.store = params_.store;
    real.manifest = params_.manifest;
    real.link = {what.path, what.link.steps, params_.rtt_s, params_.loss, seed};
    real.tokens_per_s = params_.tokens_per_s;
    real.position_cost = params_.position_cost;
    real.params.ttft_slo_ms = run.slo_ms;
    real.params.controller = what.way.controller;
    real.params.finish_early = what.way.finish_early;
    real.params.download.patience = kPatience;
    const auto report = play_for_real(real, params_.scratch_folder);
    if (!report) {
      run.error = report.error().message;
      return;
    }
    run.real_ms = report->ttft_ms;
    run.real_met = report->met;
    run.real_quality = report->quality;
  }

  const ComparisonParams& params_;
  const SimulatedPresentation& presentation_;
};

Result<SimulatedPresentation> presentation_of(const ComparisonParams& params,
                                              const Machine& machine) {
  const std::string path = params.store + "/" + params.manifest;
  const auto bytes = manifests::read_file(path, manifests::kMaxManifestBytes);
  if (!bytes) return bytes.error();
  const auto read =
      manifests::read_manifest({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, path);
  if (!read) return read.error();
  const simulate::Speeds speeds{params.tokens_per_s, params.position_cost, machine.decode_gb_per_s};
  return simulate::from_manifest(*read, machine.manifest_bytes, speeds, {});
}

double at_share(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace

double Run::off() const {
  return std::abs(real_ms - simulated_ms) / std::max(1e-9, simulated_ms);
}

double most_off(Path path) {
  return path == Path::kProxy ? 0.10 : 0.05;
}

Result<Comparison> compare(const ComparisonParams& params, const Progress& progress) {
  Comparison made;
  const auto machine = measure_machine(params.store, params.manifest, params.scratch_folder);
  if (!machine) return machine.error();
  made.machine = *machine;
  const auto presentation = presentation_of(params, *machine);
  if (!presentation) return presentation.error();
  const Comparer comparer(params, *presentation);
  std::vector<Comparer::Todo> todo;
  for (const Path path : params.paths) {
    if (path == Path::kShaped) {
      if (const auto probe = ShapedLink::make(1e6); !probe) {
        made.no_shaped_link = probe.error().message;
        continue;
      }
    }
    auto more = comparer.todo(path);
    if (!more) return more.error();
    todo.insert(todo.end(), more->begin(), more->end());
  }
  for (size_t i = 0; i < todo.size(); ++i) {
    made.runs.push_back(comparer.run(todo[i], params.seed + i));
    if (progress) progress(i + 1, todo.size());
  }
  return made;
}

Summary summarise(const std::vector<Run>& runs, Path path, const std::string& way) {
  Summary summary;
  std::vector<double> off;
  for (const Run& run : runs) {
    if (run.path != path || (!way.empty() && run.way.name() != way)) continue;
    ++summary.runs;
    summary.promised += run.promised();
    summary.broken += run.promised() && !run.real_met;
    summary.simulated_misses += !run.simulated_met;
    summary.real_misses += !run.real_met;
    summary.failed += !run.error.empty();
    if (run.error.empty()) off.push_back(run.off());
  }
  summary.median_off = at_share(off, 0.5);
  summary.p90_off = at_share(off, 0.9);
  return summary;
}

}  // namespace kvcast::reality
