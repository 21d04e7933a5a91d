// Trace Event Format (JSON), which ui.perfetto.dev and chrome://tracing open.
#include <nlohmann/json.hpp>

#include "player/report/pages.h"
#include "player/report/timeline.h"

namespace kvcast::player {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kProcess = 1;
constexpr int kNetworkThread = 100, kDecodeThread = 200, kRecomputeThread = 300, kPlayThread = 1;

int thread_of(const Span& span) {
  switch (span.kind) {
    case Span::Kind::kNetwork:
      return kNetworkThread + static_cast<int>(span.lane);
    case Span::Kind::kDecode:
      return kDecodeThread + static_cast<int>(span.lane);
    case Span::Kind::kRecompute:
      break;
  }
  return kRecomputeThread;
}

Json thread_name(int thread, const std::string& name) {
  return {{"name", "thread_name"},
          {"ph", "M"},
          {"pid", kProcess},
          {"tid", thread},
          {"args", {{"name", name}}}};
}

Json slice(const Span& span) {
  Json args = {{"outcome", span.outcome}, {"reason", span.reason}};
  if (span.bytes > 0) args["bytes"] = span.bytes;
  return {{"name", span.name},         {"ph", "X"},
          {"ts", span.begin_ms * 1e3}, {"dur", (span.end_ms - span.begin_ms) * 1e3},
          {"pid", kProcess},           {"tid", thread_of(span)},
          {"args", std::move(args)}};
}

Json instant(const std::string& name, double time_ms) {
  return {{"name", name},    {"ph", "i"},          {"ts", time_ms * 1e3},
          {"pid", kProcess}, {"tid", kPlayThread}, {"s", "p"}};
}

void add_counter(Json& events, const char* name, const std::vector<RatePoint>& samples) {
  for (const RatePoint& sample : samples) {
    events.push_back({{"name", name},
                      {"ph", "C"},
                      {"ts", sample.time_ms * 1e3},
                      {"pid", kProcess},
                      {"args", {{"Mbit/s", sample.bytes_per_s * 8e-6}}}});
  }
}

}  // namespace

std::string perfetto_trace(const PlayReport& report, const std::vector<PlayEvent>& events) {
  const Timeline timeline = make_timeline(report, events);
  Json list = Json::array();
  list.push_back(thread_name(kPlayThread, "play"));
  for (uint32_t i = 0; i < timeline.network_lanes; ++i) {
    list.push_back(
        thread_name(kNetworkThread + static_cast<int>(i), "network " + std::to_string(i)));
  }
  for (uint32_t i = 0; i < timeline.decode_lanes; ++i) {
    list.push_back(thread_name(kDecodeThread + static_cast<int>(i), "decode " + std::to_string(i)));
  }
  list.push_back(thread_name(kRecomputeThread, "recompute"));
  for (const Span& span : timeline.spans) list.push_back(slice(span));
  add_counter(list, "bandwidth, measured", timeline.measured);
  add_counter(list, "bandwidth, predicted", timeline.predicted);
  if (timeline.freeze_ms) list.push_back(instant("freeze", *timeline.freeze_ms));
  list.push_back(instant("deadline", report.ttft_slo_ms));
  list.push_back(instant("first token", report.ttft_ms));
  const Json trace = {{"traceEvents", std::move(list)}, {"displayTimeUnit", "ms"}};
  return trace.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kvcast::player
