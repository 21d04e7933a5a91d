#include <algorithm>
#include <cmath>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "player/play_history.h"

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

void read_record(const json& entry, LinkRecord& record) {
  record.rate_bytes_per_s = {bounded(entry, "rate_bytes_per_s", kMostRate),
                             bounded(entry, "rate_log_sd", kMostLogSd)};
  record.ttfb_s = {bounded(entry, "ttfb_s", kMostSeconds),
                   bounded(entry, "ttfb_log_sd", kMostLogSd)};
  record.rtt_s = bounded(entry, "rtt_s", kMostSeconds);
}

void read_record(const json& entry, Spread& record) {
  record = {bounded(entry, "seconds_per_million", kMostSeconds),
            bounded(entry, "log_sd", kMostLogSd)};
}

void read_record(const json& entry, RecomputeCost& record) {
  record = {bounded(entry, "per_call_s", kMostSeconds), bounded(entry, "per_token_s", kMostSeconds),
            bounded(entry, "per_token_position_s", kMostSeconds)};
}

nlohmann::ordered_json write_record(const LinkRecord& record) {
  return {{"rate_bytes_per_s", record.rate_bytes_per_s.median},
          {"rate_log_sd", record.rate_bytes_per_s.log_sd},
          {"ttfb_s", record.ttfb_s.median},
          {"ttfb_log_sd", record.ttfb_s.log_sd},
          {"rtt_s", record.rtt_s}};
}

nlohmann::ordered_json write_record(const Spread& record) {
  return {{"seconds_per_million", record.median}, {"log_sd", record.log_sd}};
}

nlohmann::ordered_json write_record(const RecomputeCost& record) {
  return {{"per_call_s", record.per_call_s},
          {"per_token_s", record.per_token_s},
          {"per_token_position_s", record.per_token_position_s}};
}

template <typename Entries>
void read_entries(const json& document, const char* key, size_t most, int64_t now_s,
                  Entries& entries) {
  const auto all = document.find(key);
  if (all == document.end() || !all->is_object()) return;
  for (const auto& item : all->items()) {
    const std::string& name = item.key();
    const json& entry = item.value();
    if (!entry.is_object() || entries.size() == most) continue;
    if (name.size() > PlayHistory::kMaxNameBytes) continue;
    const auto updated = entry.find("updated_s");
    if (updated == entry.end() || !updated->is_number_integer()) continue;
    const int64_t updated_s = std::min(updated->get<int64_t>(), now_s);
    if (updated_s < now_s - kForgotten_s) continue;
    auto& kept = entries[name];
    read_record(entry, kept.record);
    kept.updated_s = updated_s;
  }
}

template <typename Entries>
nlohmann::ordered_json write_entries(const Entries& entries) {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (const auto& [name, entry] : entries) {
    all[name] = write_record(entry.record);
    all[name]["updated_s"] = entry.updated_s;
  }
  return all;
}

// In the logarithm, where both spreads live.
Spread average(const Spread& old, const Spread& seen) {
  if (old.median <= 0) return seen;
  if (seen.median <= 0) return old;
  const double gap = std::log(seen.median / old.median);
  const double variance = (old.log_sd * old.log_sd + seen.log_sd * seen.log_sd) / 2 + gap * gap / 4;
  return {std::sqrt(old.median * seen.median), std::min(std::sqrt(variance), kMostLogSd)};
}

double widening(int64_t updated_s, int64_t now_s) {
  const double age_s = static_cast<double>(std::max<int64_t>(now_s - updated_s, 0));
  return 1 + std::min(age_s / kWidening_s, 1.0);
}

template <typename Entries>
void forget_oldest(Entries& entries, size_t most) {
  if (entries.size() <= most) return;
  entries.erase(std::min_element(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.second.updated_s < b.second.updated_s;
  }));
}

// Plays learn at their end, in destructors: null without memory, and the next play starts without.
template <typename Entries>
typename Entries::mapped_type* entry_of(Entries& entries, const std::string& name) noexcept {
  try {
    return &entries[name];
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= PlayHistory::kMaxNameBytes;
}

bool is_cost(double seconds) {
  return seconds >= 0 && seconds <= kMostSeconds;  // and a number
}

}  // namespace

Result<PlayHistory> PlayHistory::parse(std::string_view text, int64_t now_s) {
  const json document = json::parse(text, nullptr, false);
  const auto broken = [] { return Error{ErrorKind::kCorrupt, "it is no history of plays"}; };
  if (!document.is_object() || document.value("version", json()) != json(1)) return broken();
  const auto hosts = document.find("hosts");
  if (hosts == document.end() || !hosts->is_object()) return broken();
  PlayHistory history;
  read_entries(document, "hosts", kMaxHosts, now_s, history.hosts_);
  read_entries(document, "decodes", kMaxKinds, now_s, history.decodes_);
  read_entries(document, "recomputes", kMaxKinds, now_s, history.recomputes_);
  return history;
}

std::string PlayHistory::to_json() const {
  nlohmann::ordered_json document;
  document["version"] = 1;
  document["hosts"] = write_entries(hosts_);
  document["decodes"] = write_entries(decodes_);
  document["recomputes"] = write_entries(recomputes_);
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::optional<LinkRecord> PlayHistory::find(const std::string& host, int64_t now_s) const {
  const auto found = hosts_.find(host);
  if (found == hosts_.end()) return std::nullopt;
  const double wider = widening(found->second.updated_s, now_s);
  LinkRecord record = found->second.record;
  record.rate_bytes_per_s.log_sd *= wider;
  record.ttfb_s.log_sd *= wider;
  return record;
}

std::optional<Spread> PlayHistory::find_decode(const std::string& kind, int64_t now_s) const {
  const auto found = decodes_.find(kind);
  if (found == decodes_.end() || found->second.record.median <= 0) return std::nullopt;
  Spread record = found->second.record;
  record.log_sd *= widening(found->second.updated_s, now_s);
  return record;
}

std::optional<RecomputeCost> PlayHistory::find_recompute(const std::string& kind) const {
  const auto found = recomputes_.find(kind);
  if (found == recomputes_.end()) return std::nullopt;
  const RecomputeCost& cost = found->second.record;
  if (cost.per_call_s + cost.per_token_s + cost.per_token_position_s <= 0) return std::nullopt;
  return cost;
}

void PlayHistory::learn(const std::string& host, const LinkRecord& seen, int64_t now_s) {
  const bool nothing = seen.rate_bytes_per_s.median <= 0 && seen.ttfb_s.median <= 0;
  if (!is_name(host) || nothing) return;
  auto* const entry = entry_of(hosts_, host);
  if (entry == nullptr) return;
  entry->record.rate_bytes_per_s = average(entry->record.rate_bytes_per_s, seen.rate_bytes_per_s);
  entry->record.ttfb_s = average(entry->record.ttfb_s, seen.ttfb_s);
  if (seen.rtt_s > 0) entry->record.rtt_s = seen.rtt_s;
  entry->updated_s = now_s;
  forget_oldest(hosts_, kMaxHosts);
}

void PlayHistory::learn_decode(const std::string& kind, const Spread& seen, int64_t now_s) {
  if (!is_name(kind) || !is_cost(seen.median) || seen.median <= 0) return;
  auto* const entry = entry_of(decodes_, kind);
  if (entry == nullptr) return;
  entry->record = average(entry->record, seen);
  entry->updated_s = now_s;
  forget_oldest(decodes_, kMaxKinds);
}

void PlayHistory::learn_recompute(const std::string& kind, const RecomputeCost& seen,
                                  int64_t now_s) {
  if (!is_name(kind) || !is_cost(seen.per_call_s) || !is_cost(seen.per_token_s) ||
      !is_cost(seen.per_token_position_s)) {
    return;
  }
  const auto known = find_recompute(kind);
  auto* const entry = entry_of(recomputes_, kind);
  if (entry == nullptr) return;
  entry->record = known ? mean_of(*known, seen) : seen;
  entry->updated_s = now_s;
  forget_oldest(recomputes_, kMaxKinds);
}

}  // namespace kvcast::player
