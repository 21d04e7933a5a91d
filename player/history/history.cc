#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "player/link_history.h"

namespace kvcast::player {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using nlohmann::json;

constexpr int64_t kForgotten_s = 30 * 86'400;
constexpr double kWidening_s = 86'400;  // after a day a record is twice as vague, at most
constexpr double kMostRate = 1e12, kMostSeconds = 3600, kMostLogSd = 3;

double bounded(const json& entry, const char* key, double most) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_number()) return 0;
  const double value = found->get<double>();
  return std::isfinite(value) ? std::clamp(value, 0.0, most) : 0;
}

LinkRecord read_record(const json& entry) {
  LinkRecord record;
  record.rate_bytes_per_s = {bounded(entry, "rate_bytes_per_s", kMostRate),
                             bounded(entry, "rate_log_sd", kMostLogSd)};
  record.ttfb_s = {bounded(entry, "ttfb_s", kMostSeconds),
                   bounded(entry, "ttfb_log_sd", kMostLogSd)};
  record.rtt_s = bounded(entry, "rtt_s", kMostSeconds);
  return record;
}

// In the logarithm, where both spreads live.
Spread average(const Spread& old, const Spread& seen) {
  if (old.median <= 0) return seen;
  if (seen.median <= 0) return old;
  const double gap = std::log(seen.median / old.median);
  const double variance = (old.log_sd * old.log_sd + seen.log_sd * seen.log_sd) / 2 + gap * gap / 4;
  return {std::sqrt(old.median * seen.median), std::min(std::sqrt(variance), kMostLogSd)};
}

}  // namespace

Result<LinkHistory> LinkHistory::parse(std::string_view text, int64_t now_s) {
  const json document = json::parse(text, nullptr, false);
  const auto broken = [] { return Error{ErrorKind::kCorrupt, "it is no link history"}; };
  if (!document.is_object() || document.value("version", json()) != json(1)) return broken();
  const auto hosts = document.find("hosts");
  if (hosts == document.end() || !hosts->is_object()) return broken();
  LinkHistory history;
  for (const auto& [host, entry] : hosts->items()) {
    if (!entry.is_object() || history.hosts_.size() == kMaxHosts) continue;
    const auto updated = entry.find("updated_s");
    if (updated == entry.end() || !updated->is_number_integer()) continue;
    const int64_t updated_s = std::min(updated->get<int64_t>(), now_s);
    if (updated_s < now_s - kForgotten_s) continue;
    history.hosts_[host] = {read_record(entry), updated_s};
  }
  return history;
}

std::string LinkHistory::to_json() const {
  nlohmann::ordered_json document;
  document["version"] = 1;
  document["hosts"] = nlohmann::ordered_json::object();
  for (const auto& [host, entry] : hosts_) {
    document["hosts"][host] = {{"rate_bytes_per_s", entry.record.rate_bytes_per_s.median},
                               {"rate_log_sd", entry.record.rate_bytes_per_s.log_sd},
                               {"ttfb_s", entry.record.ttfb_s.median},
                               {"ttfb_log_sd", entry.record.ttfb_s.log_sd},
                               {"rtt_s", entry.record.rtt_s},
                               {"updated_s", entry.updated_s}};
  }
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::optional<LinkRecord> LinkHistory::find(const std::string& host, int64_t now_s) const {
  const auto found = hosts_.find(host);
  if (found == hosts_.end()) return std::nullopt;
  const double age_s = static_cast<double>(std::max<int64_t>(now_s - found->second.updated_s, 0));
  const double widening = 1 + std::min(age_s / kWidening_s, 1.0);
  LinkRecord record = found->second.record;
  record.rate_bytes_per_s.log_sd *= widening;
  record.ttfb_s.log_sd *= widening;
  return record;
}

void LinkHistory::learn(const std::string& host, const LinkRecord& seen, int64_t now_s) {
  const bool nothing = seen.rate_bytes_per_s.median <= 0 && seen.ttfb_s.median <= 0;
  if (host.empty() || nothing) return;
  Entry& entry = hosts_[host];
  entry.record.rate_bytes_per_s = average(entry.record.rate_bytes_per_s, seen.rate_bytes_per_s);
  entry.record.ttfb_s = average(entry.record.ttfb_s, seen.ttfb_s);
  if (seen.rtt_s > 0) entry.record.rtt_s = seen.rtt_s;
  entry.updated_s = now_s;
  if (hosts_.size() <= kMaxHosts) return;
  hosts_.erase(std::min_element(hosts_.begin(), hosts_.end(), [](const auto& a, const auto& b) {
    return a.second.updated_s < b.second.updated_s;
  }));
}

}  // namespace kvcast::player
