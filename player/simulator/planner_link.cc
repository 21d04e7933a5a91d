#include "player/simulator/planner_link.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "player/simulator/fluid_link.h"

namespace kvcast::player {
namespace {

constexpr int kBendsPerRoundTrip = 8;
constexpr double kMostRoundTrips = 40;  // windows a million million times as wide: never the limit

// There is no choice in how the manifest is loaded. Infinite over a dead link.
double manifest_seconds(const SimulatedPresentation& presentation, const LinkTrace& trace,
                        const SimulationParams& params) {
  if (std::isinf(trace.seconds_until(trace.bytes_until(2 * params.rtt_s + params.server_s) +
                                     static_cast<double>(presentation.manifest_bytes)))) {
    return std::numeric_limits<double>::infinity();
  }
  FluidLink link(trace, params);
  link.start(0, presentation.manifest_bytes, 0);
  double now_s = 0;
  while (link.running() > 0) {
    const double next_s = link.next_event_s(now_s, std::numeric_limits<double>::infinity());
    link.advance(now_s, next_s);
    now_s = next_s;
  }
  return now_s;
}

}  // namespace

PlannerLink::PlannerLink(const SimulatedPresentation& presentation, const LinkTrace& trace,
                         const SimulationParams& params)
    : trace_(trace) {
  manifest_s_ = manifest_seconds(presentation, trace, params);
  const double begin_s = manifest_s_ + params.rtt_s + params.server_s;
  bends_.push_back({begin_s, 0, trace.bytes_until(begin_s)});
  if (!params.slow_start || params.rtt_s <= 0) return;
  const double windows = params.connections * kInitialWindowBytes +
                         std::numbers::ln2 * static_cast<double>(presentation.manifest_bytes);
  for (int i = 1; i <= kMostRoundTrips * kBendsPerRoundTrip; ++i) {
    const double round_trips = static_cast<double>(i) / kBendsPerRoundTrip;
    const double at_s = begin_s + round_trips * params.rtt_s;
    const double bytes = windows / std::numbers::ln2 * std::expm1(std::numbers::ln2 * round_trips);
    bends_.push_back({at_s, bytes, trace.bytes_until(at_s)});
    // No later bend can bind once a window's round trip outruns anything the trace will do.
    if (bytes > trace.bytes_until(begin_s + 1e3) - bends_.front().trace_bytes) break;
  }
}

double PlannerLink::bytes_until(double seconds) const {
  if (seconds <= bends_.front().at_s) return 0;
  const double carried = trace_.bytes_until(seconds);
  double bytes = std::numeric_limits<double>::infinity();
  for (const Bend& bend : bends_) {
    if (bend.at_s > seconds) {
      bytes = std::min(bytes, bend.window_bytes);  // not yet so many
      break;
    }
    bytes = std::min(bytes, bend.window_bytes + carried - bend.trace_bytes);
  }
  return bytes;
}

double PlannerLink::seconds_until(double bytes) const {
  double seconds = bends_.front().at_s;
  for (size_t i = 0; i < bends_.size() && bends_[i].window_bytes < bytes; ++i) {
    const double left = bytes - bends_[i].window_bytes;
    seconds =
        std::max({seconds, bends_[i].at_s, trace_.seconds_until(bends_[i].trace_bytes + left)});
  }
  return seconds;
}

}  // namespace kvcast::player
