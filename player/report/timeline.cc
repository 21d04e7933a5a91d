#include "player/report/timeline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

namespace kvcast::player {
namespace {

constexpr size_t kRateBins = 120;  // of the measured rate, over the whole play

struct Rule {
  std::string_view what;
  Span::Kind kind;
  std::string_view outcome;  // empty: it begins a span
};
constexpr std::array kRules = {
    Rule{"fetch", Span::Kind::kNetwork, ""},
    Rule{"complete", Span::Kind::kNetwork, "complete"},
    Rule{"failed", Span::Kind::kNetwork, "failed"},
    Rule{"cancel", Span::Kind::kNetwork, "cancelled"},
    Rule{"decode", Span::Kind::kDecode, ""},
    Rule{"decoded", Span::Kind::kDecode, "complete"},
    Rule{"recompute", Span::Kind::kRecompute, ""},
    Rule{"recomputed", Span::Kind::kRecompute, "complete"},
    Rule{"recompute_cancelled", Span::Kind::kRecompute, "cancelled"},
    Rule{"recompute_failed", Span::Kind::kRecompute, "failed"},
};

const Rule* rule_of(std::string_view what) {
  const auto* rule = std::ranges::find(kRules, what, &Rule::what);
  return rule == kRules.end() ? nullptr : rule;
}

std::optional<double> number(const PlayEvent& event, std::string_view name) {
  for (const auto& [key, value] : event.numbers) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::string name_of(const Span& span, const PlayEvent& event) {
  if (!span.chunk) return event.reason.substr(0, event.reason.find(' '));
  std::string name = "chunk " + std::to_string(*span.chunk);
  if (!span.plane) return name;
  return name + (span.kind == Span::Kind::kDecode ? " level " : " plane ") +
         std::to_string(*span.plane);
}

class SpanBuilder {
 public:
  void take(const PlayEvent& event) {
    const Rule* rule = rule_of(event.what);
    if (!rule) return;
    const Key key{rule->kind, event.chunk,
                  rule->kind == Span::Kind::kNetwork ? event.plane : std::nullopt};
    if (rule->outcome.empty()) {
      open_[key] = spans_.size();
      spans_.push_back(begun(*rule, event));
      return;
    }
    auto found = open_.find(key);
    if (found == open_.end()) {
      if (rule->kind != Span::Kind::kNetwork) return;
      // The manifest and the profile are fetched before there is a plan to note them.
      found = open_.emplace(key, spans_.size()).first;
      spans_.push_back(begun(*rule, event));
      spans_.back().begin_ms = 0;
      spans_.back().reason.clear();
    }
    Span& span = spans_[found->second];
    span.end_ms = event.time_ms;
    span.outcome = rule->outcome;
    span.bytes = static_cast<uint64_t>(number(event, "received_bytes").value_or(0));
    span.reason += (span.reason.empty() ? "" : " → ") + event.reason;
    open_.erase(found);
  }

  // What the freeze cut off ends there.
  std::vector<Span> finish(double cut_ms) {
    for (const auto& [key, index] : open_) {
      spans_[index].end_ms = std::max(spans_[index].begin_ms, cut_ms);
      spans_[index].outcome = "unfinished";
    }
    std::ranges::stable_sort(spans_, {}, &Span::begin_ms);
    return std::move(spans_);
  }

 private:
  using Key = std::tuple<Span::Kind, std::optional<uint32_t>, std::optional<uint32_t>>;

  static Span begun(const Rule& rule, const PlayEvent& event) {
    Span span;
    span.kind = rule.kind;
    span.begin_ms = span.end_ms = event.time_ms;
    span.chunk = event.chunk;
    span.plane = event.plane;
    if (const auto level = number(event, "level")) span.plane = static_cast<uint32_t>(*level);
    span.name = name_of(span, event);
    span.reason = event.reason;
    return span;
  }

  std::vector<Span> spans_;
  std::map<Key, size_t> open_;
};

// The first free lane, in order of begin: interval partitioning.
uint32_t assign_lanes(std::vector<Span>& spans, Span::Kind kind) {
  std::vector<double> busy_until;
  for (Span& span : spans) {
    if (span.kind != kind) continue;
    const auto free =
        std::ranges::find_if(busy_until, [&span](double until) { return until <= span.begin_ms; });
    span.lane = static_cast<uint32_t>(free - busy_until.begin());
    if (free == busy_until.end()) busy_until.push_back(0);
    busy_until[span.lane] = span.end_ms;
  }
  return static_cast<uint32_t>(busy_until.size());
}

// A transfer's bytes, spread evenly over its time.
std::vector<RatePoint> measured_rate(const std::vector<Span>& spans, double end_ms) {
  const double bin_ms = end_ms / kRateBins;
  std::vector<RatePoint> bins(kRateBins);
  for (size_t i = 0; i < kRateBins; ++i) bins[i].time_ms = bin_ms * static_cast<double>(i);
  for (const Span& span : spans) {
    if (span.kind != Span::Kind::kNetwork || span.bytes == 0 || span.end_ms <= span.begin_ms) {
      continue;
    }
    const double bytes_per_ms = static_cast<double>(span.bytes) / (span.end_ms - span.begin_ms);
    for (RatePoint& bin : bins) {
      const double overlap_ms =
          std::min(span.end_ms, bin.time_ms + bin_ms) - std::max(span.begin_ms, bin.time_ms);
      if (overlap_ms > 0) bin.bytes_per_s += bytes_per_ms * overlap_ms / bin_ms * 1e3;
    }
  }
  return bins;
}

}  // namespace

Timeline make_timeline(const PlayReport& report, const std::vector<PlayEvent>& events) {
  Timeline timeline;
  timeline.end_ms = std::max({report.ttft_slo_ms, report.ttft_ms, report.kv_ready_ms, 1.0});
  SpanBuilder builder;
  for (const PlayEvent& event : events) {
    builder.take(event);
    timeline.end_ms = std::max(timeline.end_ms, event.time_ms);
    if (event.what == "freeze") timeline.freeze_ms = event.time_ms;
    const auto rate = number(event, "rate_bytes_per_s");
    if (rate && *rate > 0) timeline.predicted.push_back({event.time_ms, *rate});
  }
  timeline.spans = builder.finish(timeline.freeze_ms.value_or(timeline.end_ms));
  timeline.network_lanes = assign_lanes(timeline.spans, Span::Kind::kNetwork);
  timeline.decode_lanes = assign_lanes(timeline.spans, Span::Kind::kDecode);
  assign_lanes(timeline.spans, Span::Kind::kRecompute);
  timeline.measured = measured_rate(timeline.spans, timeline.end_ms);
  return timeline;
}

}  // namespace kvcast::player
