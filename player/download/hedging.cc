// A second attempt beside one that hangs. It asks only for what is missing, of another base or on
// a connection of its own; whichever side brings more goes on once the bytes that came twice reach
// the budget, and the first to be complete ends the other. The idea: Dean and Barroso, The Tail at
// Scale, CACM 56(2), 2013.
#include <fmt/format.h>

#include <algorithm>

#include "player/download/downloader_state.h"

namespace kvcast::player {
namespace {

constexpr double kLate = 0.95;         // the quantile after which a wait counts as a hang
constexpr double kGaps = 4;            // so many of the longer usual gaps between body bytes
constexpr double kBlindShare = 0.25;   // of the time left, where nothing is known of the host
constexpr double kBlind_s = 1;         // the same without a deadline
constexpr uint32_t kMostHedges = 3;    // of one download
constexpr uint32_t kLeastSamples = 3;  // of gaps
constexpr int64_t kNever = INT64_MAX;

int64_t to_ns(double seconds) {
  return static_cast<int64_t>(seconds * 1e9);
}

}  // namespace

uint64_t Downloader::State::hedge_budget() const {
  return static_cast<uint64_t>(params.hedge_byte_share * static_cast<double>(object_bytes));
}

// When its only attempt counts as hanging.
int64_t Downloader::State::hedge_due_ns(const DownloadTask& task) const {
  if (!task.first || task.second || task.hedges >= kMostHedges) return kNever;
  if (task.request.post) return kNever;
  if (params.hedge_byte_share <= 0) return kNever;
  const Attempt& attempt = *task.first;
  const auto known = hosts.find(task.bases->at(attempt.base).host);
  const Spread ttfb = known == hosts.end() ? Spread{} : known->second.ttfb.spread();
  double wait_s = ttfb.quantile(kLate);
  if (ttfb.median <= 0) {
    wait_s = kBlind_s;
    if (deadline_ns) {
      const double left_s = static_cast<double>(*deadline_ns - attempt.started_ns) * 1e-9;
      wait_s = std::clamp(kBlindShare * left_s, 0.0, kBlind_s);
    }
  }
  if (attempt.answered && known != hosts.end() && known->second.gap.samples() >= kLeastSamples) {
    wait_s = std::max(wait_s, kGaps * known->second.gap.spread().quantile(kLate));
  }
  const int64_t least = std::chrono::nanoseconds(params.hedge_least).count();
  return attempt.last_ns + std::max(to_ns(wait_s), least);
}

int64_t Downloader::State::next_hedge_ns(int64_t latest) const {
  for (const auto& [id, task] : tasks) {
    const int64_t due = hedge_due_ns(task);
    // One that was due and did not help is looked at again when something happens.
    if (due > transport.now_ns()) latest = std::min(latest, due);
  }
  return latest;
}

// While nothing at all arrives, the link is out rather than one connection: then one probe will do.
bool Downloader::State::hedge_helps(const DownloadTask& task, int64_t now) const {
  bool others_alive = false, probing = false;
  for (const auto& [id, other] : tasks) {
    if (id == task.id || !other.first) continue;
    probing = probing || other.second;
    others_alive = others_alive || other.first->last_ns > task.first->last_ns;
  }
  if (others_alive || transfers.size() == 1) return true;
  return !probing && task.bases->size() > 1 && now > task.first->last_ns;
}

void Downloader::State::hedge_due(int64_t now) {
  if (twice_bytes > hedge_budget()) return;
  for (auto& [id, task] : tasks) {
    if (hedge_due_ns(task) > now || !hedge_helps(task, now)) continue;
    start_hedge(task, now);
  }
}

void Downloader::State::start_hedge(DownloadTask& task, int64_t now) {
  const Attempt& first = *task.first;
  const uint64_t here = std::max(task.assembly.size(), first.answered ? first.held() : 0);
  if (task.request.object && here >= task.request.object->bytes) return;
  std::vector<size_t> avoided = task.refused;
  avoided.insert(avoided.end(), task.suspects.begin(), task.suspects.end());
  avoided.push_back(first.base);
  auto choice = task.bases->choose(avoided, now, random);
  if (!choice || !choice->favoured) choice = BaseSet::Choice{first.base, true, now};
  const bool other = choice->base != first.base;
  const double waited_ms = static_cast<double>(now - first.last_ns) * 1e-6;
  ++task.hedges;
  task.second = start_attempt(task, choice->base, task.request.object ? here : 0, !other, now);
  DownloadEvent& event = report(task, *task.second, DownloadEvent::Kind::kHedge, now);
  event.offset = task.second->offset;
  event.received_bytes = here;
  event.waited_ns = now - first.last_ns;
  event.reason =
      fmt::format("{} for {:.0f} ms, attempt {} goes on; a second one from byte {} {}",
                  first.answered ? "no byte" : "no answer", waited_ms, first.number,
                  task.second->offset, other ? "from another base" : "on a new connection");
}

// After each piece of either side: charge what came twice, and end the race when it costs too much.
void Downloader::State::run_race(DownloadTask& task, uint64_t twice_before, int64_t now) {
  if (!task.first || !task.second || !task.race) return;
  const Attempt &first = *task.first, &second = *task.second;
  const uint64_t first_held = first.answered ? first.held() : task.race->first_held;
  const uint64_t reached = std::min(first_held, second.held());
  task.race->twice_bytes = reached - std::min(reached, second.offset);
  twice_bytes += task.race->twice_bytes - std::min(twice_before, task.race->twice_bytes);
  if (twice_bytes <= hedge_budget() || task.race->twice_bytes == 0) return;
  const auto size = static_cast<double>(task.request.object ? task.request.object->bytes : 0);
  const auto gain = [&](uint64_t held, uint64_t from) {
    return static_cast<double>(held - std::min(held, from)) + 1;
  };
  const double first_left =
      (size - static_cast<double>(first_held)) / gain(first_held, task.race->first_held);
  const double second_left =
      (size - static_cast<double>(second.held())) / gain(second.held(), second.offset);
  drop(task, first_left <= second_left,
       fmt::format("{} bytes came twice, budget {}", twice_bytes, hedge_budget()), now);
}

// Ends one side; what it brought stays if it fits.
void Downloader::State::drop(DownloadTask& task, bool second, const std::string& why, int64_t now) {
  const TransferId transfer = (second ? task.second : task.first)->transfer;
  std::vector<std::byte> body = transport.stop(transfer);
  const Attempt ended = leave_attempt(task, transfer);
  if (task.request.object && ended.answered) {
    task.assembly.take(ended.headers, ended.offset, ended.base, std::move(body));
  }
  DownloadEvent& event = report(task, ended, DownloadEvent::Kind::kHedgeEnd, now);
  event.reason = fmt::format("attempt {} is dropped: {}", ended.number, why);
  event.received_bytes = std::max(task.assembly.size(), task.first ? task.first->held() : 0);
}

}  // namespace kvcast::player
