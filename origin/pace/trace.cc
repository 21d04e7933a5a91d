#include "origin/trace.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "manifests/file.h"

namespace kvcast::origin {
namespace {

using manifests::Error;
using manifests::ErrorKind;

constexpr double kBytesPerSPerMbit = 1e6 / 8;
constexpr std::string_view kBlanks = " \t\r";

// Takes a number off the front; none if there is none.
std::optional<double> take_number(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::general);
  if (error != std::errc{}) return {};
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(kBlanks) == std::string_view::npos;
}

bool within(double value, double limit) {
  return value >= 0 && value <= limit;
}  // false for NaN

Error bad_line(std::string_view name, size_t line, const std::string& what) {
  return Error{ErrorKind::kCorrupt, std::string(name) + ":" + std::to_string(line) + ": " + what +
                                        "; a trace has lines `seconds Mbit/s`"};
}

// "40", "40mbit", "40 Mbit/s"; none if `spec` does not start as a number or ends in something else.
std::optional<double> rate_of_spec(std::string_view spec) {
  const auto rate = take_number(spec);
  if (!rate) return {};
  std::string unit(spec.substr(std::min(spec.find_first_not_of(kBlanks), spec.size())));
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (unit.empty() || unit == "mbit" || unit == "mbit/s" || unit == "mbps") return rate;
  return {};
}

}  // namespace

manifests::Result<Trace> Trace::parse(std::string_view text, std::string_view name) {
  std::vector<Step> steps;
  size_t line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    line = line.substr(0, line.find('#'));
    if (is_blank(line)) continue;
    const auto seconds = take_number(line);
    const bool separated = !line.empty() && kBlanks.find(line.front()) != std::string_view::npos;
    const auto rate = separated ? take_number(line) : std::nullopt;
    if (!seconds || !rate || !is_blank(line)) return bad_line(name, line_number, "not two numbers");
    if (!within(*seconds, kMaxTraceSeconds)) {
      return bad_line(name, line_number, "the time is not within 0 and 1e9 seconds");
    }
    if (!within(*rate, kMaxTraceMbitPerS)) {
      return bad_line(name, line_number, "the rate is not within 0 and 1e7 Mbit/s");
    }
    if (!steps.empty() && *seconds < steps.back().begin_s) {
      return bad_line(name, line_number, "the time is earlier than the line's before");
    }
    if (!steps.empty() && *seconds == steps.back().begin_s) steps.pop_back();
    steps.push_back({*seconds, *rate * kBytesPerSPerMbit, 0});
  }
  if (steps.empty()) {
    return Error{ErrorKind::kCorrupt,
                 std::string(name) + ": no rates in it; a trace has lines `seconds Mbit/s`"};
  }
  return from_rates(std::move(steps));
}

manifests::Result<Trace> Trace::from_spec(const std::string& spec) {
  if (const auto rate = rate_of_spec(spec)) {
    if (!within(*rate, kMaxTraceMbitPerS)) {
      return Error{ErrorKind::kUsage, spec + ": a constant rate lies within 0 and 1e7 Mbit/s"};
    }
    return constant(*rate);
  }
  const auto bytes = manifests::read_file(spec, kMaxTraceBytes);
  if (!bytes.ok()) {
    return Error{bytes.error().kind,
                 bytes.error().message + " (a pace is a rate in Mbit/s or a trace file)"};
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  return parse(text, spec);
}

Trace Trace::constant(double mbit_per_s) {
  return from_rates({{0, mbit_per_s * kBytesPerSPerMbit, 0}});
}

Trace Trace::scaled(double factor) const {
  std::vector<Step> steps = steps_;
  for (Step& step : steps) step.bytes_per_s *= factor;
  return from_rates(std::move(steps));
}

Trace Trace::from_rates(std::vector<Step> steps) {
  steps.front().begin_s = 0;
  steps.front().bytes_before = 0;
  for (size_t i = 1; i < steps.size(); ++i) {
    const Step& before = steps[i - 1];
    steps[i].bytes_before =
        before.bytes_before + (steps[i].begin_s - before.begin_s) * before.bytes_per_s;
  }
  Trace trace;
  trace.steps_ = std::move(steps);
  return trace;
}

const Trace::Step& Trace::step_at(double seconds) const {
  const auto after = std::upper_bound(steps_.begin(), steps_.end(), seconds,
                                      [](double s, const Step& step) { return s < step.begin_s; });
  return after == steps_.begin() ? steps_.front() : *(after - 1);
}

double Trace::bytes_per_s_at(double seconds) const {
  return step_at(seconds).bytes_per_s;
}

double Trace::bytes_until(double seconds) const {
  if (seconds <= 0) return 0;
  const Step& step = step_at(seconds);
  return step.bytes_before + (seconds - step.begin_s) * step.bytes_per_s;
}

double Trace::seconds_until(double bytes) const {
  if (bytes <= 0) return 0;
  // The last step that begins with fewer bytes carried: the one in which they are reached, never an
  // outage before it.
  const auto after =
      std::lower_bound(steps_.begin(), steps_.end(), bytes,
                       [](const Step& step, double b) { return step.bytes_before < b; });
  const Step& step = *(after - 1);
  if (step.bytes_per_s <= 0) return std::numeric_limits<double>::infinity();
  return step.begin_s + (bytes - step.bytes_before) / step.bytes_per_s;
}

}  // namespace kvcast::origin
