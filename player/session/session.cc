#include "player/session/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "manifests/text.h"
#include "player/session/ladders.h"

namespace kvcast::player {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

Session::Session(Transport& transport, Link& link, const Journal& journal, const PlayParams& params,
                 const Presentation& presentation, const Controller& controller, KvSink& sink,
                 const std::vector<kernels::MutableTensorView>& destinations, Recompute* recompute,
                 SpeedMemory& memory)
    : link_(link),
      journal_(journal),
      params_(params),
      presentation_(presentation),
      controller_(controller),
      sink_(sink),
      memory_(memory),
      recompute_cost_(recompute != nullptr ? recompute->cost() : std::nullopt,
                      memory.recomputing()),
      decoding_(presentation, destinations, sink.device(), params.exact, params.decode_threads,
                [&transport] { transport.wake(); }),
      recomputing_(recompute, presentation, destinations, [&transport] { transport.wake(); }) {
  seen_.chunks = make_ladders(presentation, params);
  suffix_prefill_s_ =
      1e-3 * (params.suffix_prefill_ms_after ? params.suffix_prefill_ms_after(presentation.tokens)
                                             : params.suffix_prefill_ms);
  seen_.deadline_s = params.ttft_slo_ms * 1e-3;
  seen_.gpu_seconds_price = params.gpu_seconds_price;
  seen_.finish_early = params.finish_early;
}

Session::~Session() {
  memory_.learn(decoding_.measured(), recompute_cost_.measured());
}

Result<PlayReport> Session::run(const std::vector<uint32_t>& tokens, std::stop_token stop) {
  if (Status started = start_assets(tokens); !started) return started.error();
  while (true) {
    if (Status decided = decide(); !decided) return decided.error();
    if (handed_over_) return report();
    for (Link::Outcome& outcome : link_.poll(wait_time())) take_outcome(outcome);
    if (stop.stop_requested()) return cancelled();
    if (Status taken = take_decodes(); !taken) return taken.error();
    if (Status taken = take_recompute(); !taken) return taken.error();
  }
}

Status Session::start_assets(const std::vector<uint32_t>& tokens) {
  const manifests::Manifest& manifest = presentation_.manifest;
  if (params_.exact) remember_decoding();
  if (const auto cost = memory_.recomputing(); cost && recomputing_.has_engine()) {
    journal_.note(
        "speed_prior", {}, {},
        fmt::format("earlier plays recomputed {:.4g} ms a token", cost->per_token_s * 1e3),
        {{"per_token_s", cost->per_token_s}});
  }
  if (!params_.exact) {
    DownloadRequest request;
    request.name = "profile";
    request.object = manifest.profile;
    request.type = CmcdRequest::Type::kInit;
    request.priority = Priority::kUrgent;
    link_.start({Want::Kind::kProfile}, std::move(request));
  }
  const bool inline_text = manifest.text && !manifest.text->tokens.empty();
  if (!tokens.empty()) {
    if (tokens.size() < presentation_.tokens) {
      return Error{ErrorKind::kUsage, fmt::format("{} tokens were given, {} are played",
                                                  tokens.size(), presentation_.tokens)};
    }
    if (inline_text &&
        !std::equal(tokens.begin(), tokens.begin() + static_cast<int64_t>(presentation_.tokens),
                    manifest.text->tokens.begin())) {
      return Error{
          ErrorKind::kCorrupt,
          fmt::format("{}: its text is not the tokens that were given", presentation_.url)};
    }
    use_tokens(tokens);
  } else if (inline_text) {
    use_tokens(manifest.text->tokens);
  } else if (manifest.text && manifest.text->object) {
    DownloadRequest request;
    request.name = "text";
    request.object = manifest.text->object;
    request.priority = Priority::kUrgent;
    link_.start({Want::Kind::kText}, std::move(request));
  }
  return {};
}

void Session::use_tokens(const std::vector<uint32_t>& tokens) {
  recomputing_.set_tokens(tokens);
  sink_.tokens_known(std::span(tokens).first(presentation_.tokens));
}

void Session::look() {
  seen_.now_s = journal_.now_s();
  seen_.rate_bytes_per_s = link_.rate_bytes_per_s();
  seen_.ttfb_s = link_.ttfb_s();
  link_.history(seen_.history);
  seen_.in_flight_bytes = link_.in_flight_bytes();
  seen_.free_transfers = link_.free_transfers(params_.connections, params_.most_connections);
  const uint32_t decodes = decoding_.at_once();
  seen_.free_decodes = decoding_.ready() ? decodes - std::min(decodes, decoding_.active()) : 0;
  seen_.recompute_available = recomputing_.available();
  seen_.recomputing = recomputing_.cancelling() ? std::nullopt : recomputing_.chunk();
  seen_.recompute_elapsed_s = recomputing_.elapsed_s();
  seen_.engine_slack = engine_slack_.value();
  double pending_s = 0;
  uint64_t backlog_bytes = 0;
  for (uint32_t c = 0; c < seen_.chunks.size(); ++c) {
    ChunkState& chunk = seen_.chunks[c];
    if (chunk.recomputed) continue;
    const manifests::ChunkEntry& entry = presentation_.manifest.chunks[c];
    chunk.recompute_s = recompute_cost_.seconds(entry.token_begin, entry.token_end);
    for (uint32_t n = 0; n < chunk.ladder.size(); ++n) {
      chunk.ladder[n].decode_s = decoding_.seconds(c, n);
      const bool waits = (chunk.held >> n & 1) != 0 && static_cast<int>(n) > chunk.decoded_level;
      if (waits) backlog_bytes += chunk.ladder[n].bytes;
    }
    const int level = std::min(std::max(chunk.coming_level(), chunk.min_level), chunk.max_level);
    if (level > chunk.decoded_level) pending_s += chunk.ladder[level].decode_s;
  }
  link_.set_backlog(backlog_bytes, decoding_.active() > 0, params_.backlog_limit_bytes);
  seen_.freeze_s =
      freeze_time(seen_.deadline_s, suffix_prefill_s_ * recompute_cost_.slowdown(), pending_s);
}

Status Session::decide() {
  look();
  const Choice choice = controller_.decide(seen_);
  decision_max_s_ = std::max(decision_max_s_, journal_.now_s() - seen_.now_s);
  if (choice.freeze && !seen_.frozen && can_finish()) {
    freeze(choice);
    return decide();
  }
  if (!seen_.frozen) apply_transfers(choice);
  apply_recompute(choice);
  const size_t waiting = apply_decodes(choice);
  if (!seen_.frozen) {
    const Status late = check_not_too_late();
    return late ? check_not_stuck() : late;
  }
  if (waiting > 0 || recomputing_.chunk()) return {};
  hand_layers_over();
  return {};
}

// A freeze ends all transfers, so it has to wait for a profile that chunks in hand still need.
bool Session::can_finish() const {
  return decoding_.ready() || std::all_of(seen_.chunks.begin(), seen_.chunks.end(),
                                          [](const ChunkState& chunk) { return chunk.in_sink(); });
}

// The limit ends downloads by itself; once they are gone the controller has had its chance to
// finish with what is here, and only the engine could still bring what is missing.
Status Session::check_not_too_late() const {
  const auto limit = params_.download.late_limit;
  if (!limit || link_.running() > 0) return {};
  const double late_s = seen_.now_s - seen_.deadline_s;
  if (late_s < std::chrono::duration<double>(*limit).count()) return {};
  const auto missing = std::count_if(seen_.chunks.begin(), seen_.chunks.end(),
                                     [](const ChunkState& chunk) { return !chunk.in_hand(); });
  return Error{
      ErrorKind::kPromise,
      fmt::format("the deadline passed {:.0f} ms ago, which is the limit, and {} of {} chunks are "
                  "neither fetched nor recomputed{}: allow more time or a lower level",
                  late_s * 1e3, missing, seen_.chunks.size(),
                  last_failure_ ? " (" + last_failure_->message + ")" : "")};
}

std::chrono::nanoseconds Session::wait_time() const {
  constexpr double kTick_s = 0.005, kLeast_s = 1e-4;  // a remainder must not round to no wait
  const double left_s = seen_.freeze_s - journal_.now_s();
  const double wait_s = left_s > 0 ? std::clamp(left_s, kLeast_s, kTick_s) : kTick_s;
  return std::chrono::nanoseconds(static_cast<int64_t>(wait_s * 1e9));
}

// Nothing runs that could change anything, and the controller saw a state in which it would have
// started what it can.
Status Session::check_not_stuck() const {
  if (link_.running() > 0 || decoding_.active() > 0 || recomputing_.chunk() || committing_) {
    return {};
  }
  const auto stuck = std::find_if(seen_.chunks.begin(), seen_.chunks.end(),
                                  [](const ChunkState& chunk) { return !chunk.in_sink(); });
  if (stuck == seen_.chunks.end()) return {};
  const auto c = stuck - seen_.chunks.begin();
  const manifests::ChunkEntry& entry = presentation_.manifest.chunks[static_cast<size_t>(c)];
  return Error{
      last_failure_ ? last_failure_->kind : ErrorKind::kUsage,
      fmt::format("chunk {} (tokens {} to {}) can neither be fetched at level {} or better "
                  "nor recomputed{}: try another store, a lower level, or an engine and a "
                  "presentation with text",
                  c, entry.token_begin, entry.token_end, stuck->min_level,
                  last_failure_ ? " (" + last_failure_->message + ")" : "")};
}

}  // namespace kvcast::player
