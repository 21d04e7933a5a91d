#include "tools/simulate/link_traces.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "manifests/file.h"
#include "origin/trace.h"
#include "tools/simulate/families.h"

namespace kvcast::simulate {
namespace {

namespace fs = std::filesystem;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using Step = player::LinkTrace::Step;
using Traces = Result<std::vector<NamedTrace>>;

constexpr double kPacketBytes = 1500, kPacketBin_s = 0.1;
constexpr uint64_t kMostMilliseconds = 1'000'000'000;
constexpr double kGbit = 1e9 / 8, kMostGbitPerS = 1e4;

NamedTrace finished(NamedTrace trace) {
  std::vector<double> lengths;
  for (size_t i = 1; i < trace.steps.size(); ++i) {
    lengths.push_back(trace.steps[i].begin_s - trace.steps[i - 1].begin_s);
  }
  if (lengths.empty()) lengths.push_back(1);
  const auto middle = lengths.begin() + static_cast<int64_t>(lengths.size() / 2);
  std::nth_element(lengths.begin(), middle, lengths.end());
  trace.step_s = *middle;
  trace.seconds = trace.steps.back().begin_s + trace.step_s;
  return trace;
}

Traces two_columns(std::string_view text, const std::string& name, const std::string& family) {
  const auto parsed = origin::Trace::parse(text, name);
  if (!parsed) return parsed.error();
  NamedTrace trace{name, family, {}, 0, 0};
  for (const origin::Trace::Step& step : parsed->steps()) {
    trace.steps.push_back({step.begin_s, step.bytes_per_s});
  }
  return std::vector{finished(std::move(trace))};
}

std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  return line;
}

Traces packets(std::string_view text, const std::string& name, const std::string& family) {
  std::vector<uint64_t> bins;
  uint64_t last_ms = 0;
  for (size_t line_number = 1; !text.empty(); ++line_number) {
    const std::string_view line = take_line(text);
    if (line.empty()) continue;
    uint64_t ms = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), ms);
    if (error != std::errc() || end != line.data() + line.size() || ms < last_ms ||
        ms > kMostMilliseconds) {
      return Error{ErrorKind::kCorrupt,
                   fmt::format("{}:{}: not a whole number of milliseconds, none before the line's "
                               "before, up to {}: each line is one packet",
                               name, line_number, kMostMilliseconds)};
    }
    last_ms = ms;
    const auto bin = static_cast<size_t>(static_cast<double>(ms) / 1e3 / kPacketBin_s);
    if (bins.size() <= bin) bins.resize(bin + 1);
    ++bins[bin];
  }
  NamedTrace trace{name, family, {}, 0, 0};
  for (size_t i = 0; i < bins.size(); ++i) {
    trace.steps.push_back({static_cast<double>(i) * kPacketBin_s,
                           static_cast<double>(bins[i]) * kPacketBytes / kPacketBin_s});
  }
  return std::vector{finished(std::move(trace))};
}

Traces json_lines(std::string_view text, const std::string& name, const std::string& family) {
  std::vector<NamedTrace> traces;
  for (size_t line_number = 1; !text.empty(); ++line_number) {
    const std::string_view line = take_line(text);
    if (line.empty()) continue;
    const auto json = nlohmann::json::parse(line, nullptr, false);
    const bool sound = json.is_object() && json.contains("bw") && json["bw"].is_array() &&
                       !json["bw"].empty() &&
                       std::all_of(json["bw"].begin(), json["bw"].end(), [](const auto& value) {
                         return value.is_number() && value.template get<double>() >= 0 &&
                                value.template get<double>() <= kMostGbitPerS;
                       });
    if (!sound) {
      return Error{ErrorKind::kCorrupt,
                   fmt::format("{}:{}: not {{\"bw\": [...]}} with rates from 0 to {} Gbit/s", name,
                               line_number, kMostGbitPerS)};
    }
    NamedTrace trace{fmt::format("{}:{}", name, line_number), family, {}, 0, 0};
    for (const auto& value : json["bw"]) {
      trace.steps.push_back({static_cast<double>(trace.steps.size()), value.get<double>() * kGbit});
    }
    traces.push_back(finished(std::move(trace)));
  }
  return traces;
}

// The first line that says something.
std::string_view first_line(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t") != std::string_view::npos) return line;
  }
  return {};
}

Result<std::vector<fs::path>> files_of(const std::string& spec) {
  std::error_code error;
  std::vector<fs::path> files;
  if (!fs::is_directory(spec, error)) return std::vector<fs::path>{spec};
  for (fs::recursive_directory_iterator it(spec, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_regular_file(error) || it->path().filename().string().starts_with("README"))
      continue;
    files.push_back(it->path());
    if (files.size() > kMostTraces) {
      return Error{ErrorKind::kUsage, fmt::format("{}: more than {} files", spec, kMostTraces)};
    }
  }
  if (error) return Error{ErrorKind::kIo, fmt::format("{}: {}", spec, error.message())};
  if (files.empty()) return Error{ErrorKind::kIo, fmt::format("{}: no traces in it", spec)};
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Traces import_traces(std::string_view text, const std::string& name, const std::string& family) {
  const std::string_view first = first_line(text);
  if (first.starts_with('{')) return json_lines(text, name, family);
  const size_t digits = first.find_first_not_of("0123456789");
  if (!first.empty() && digits == std::string_view::npos) return packets(text, name, family);
  return two_columns(text, name, family);
}

Traces load_traces(const std::vector<std::string>& specs) {
  std::vector<NamedTrace> all;
  const auto add = [&](Traces traces) -> manifests::Status {
    if (!traces) return traces.error();
    std::move(traces->begin(), traces->end(), std::back_inserter(all));
    return {};
  };
  for (const std::string& spec : specs) {
    if (is_family(spec)) {
      if (auto added = add(make_family(spec)); !added) return added.error();
      continue;
    }
    const auto files = files_of(spec);
    if (!files) return files.error();
    for (const fs::path& file : *files) {
      const auto bytes = manifests::read_file(file.string(), origin::kMaxTraceBytes);
      if (!bytes) return bytes.error();
      const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
      const std::string family = fs::absolute(file).parent_path().filename().string();
      if (auto added = add(import_traces(text, file.string(), family)); !added) {
        return added.error();
      }
    }
  }
  for (const NamedTrace& trace : all) {
    if (trace.mean_bytes_per_s() > 0) continue;
    return Error{ErrorKind::kCorrupt, fmt::format("{}: never carries anything", trace.name)};
  }
  return all;
}

}  // namespace kvcast::simulate
