// What happened: transfers, decodes and recomputes that ended.
#include <fmt/format.h>

#include <algorithm>

#include "manifests/text.h"
#include "player/session/session.h"

namespace kvcast::player {

using manifests::Status;

void Session::take_outcome(Link::Outcome& outcome) {
  switch (outcome.want.kind) {
    case Want::Kind::kProfile: {
      const Status profile =
          outcome.error ? Status(*outcome.error) : decoding_.set_profile(std::move(outcome.bytes));
      profile ? remember_decoding() : lose_profile(profile.error());
      break;
    }
    case Want::Kind::kText:
      take_text(outcome);
      break;
    case Want::Kind::kPlane:
      take_plane(outcome);
      break;
    case Want::Kind::kManifest:
    case Want::Kind::kRaw:
      break;
  }
}

void Session::remember_decoding() {
  const auto prior = memory_.decoding(decoding_.profile());
  if (!prior) return;
  decoding_.expect(*prior);
  journal_.note("speed_prior", {}, {},
                fmt::format("earlier plays decoded a million elements in {:.3g} ms of a thread",
                            prior->median * 1e3),
                {{"seconds_per_million", prior->median}});
}

// No plane can be decoded; text may still do.
void Session::lose_profile(const manifests::Error& why) {
  last_failure_ = why;
  journal_.note("profile_lost", {}, {}, why.message);
  for (ChunkState& chunk : seen_.chunks) {
    chunk.max_level = -1;
    chunk.held = 0;
  }
}

void Session::take_text(Link::Outcome& outcome) {
  if (!outcome.error) {
    auto text = manifests::read_text_object(outcome.bytes, outcome.name);
    if (text && text->tokens.size() >= presentation_.tokens) {
      use_tokens(text->tokens);
      return;
    }
    outcome.error = text ? manifests::Error{manifests::ErrorKind::kCorrupt,
                                            "the text object has too few tokens"}
                         : text.error();
  }
  last_failure_ = *outcome.error;
  journal_.note("text_lost", {}, {}, outcome.error->message);
}

void Session::take_plane(Link::Outcome& outcome) {
  const auto [kind, c, plane] = outcome.want;
  ChunkState& chunk = seen_.chunks[c];
  chunk.fetching &= ~(1u << plane);
  if (outcome.error) {
    lose_plane(c, plane, *outcome.error);
    return;
  }
  if (chunk.recomputed || static_cast<int>(plane) > chunk.max_level) return;  // of no use any more
  if (Status kept = decoding_.keep(c, plane, std::move(outcome.bytes)); !kept) {
    lose_plane(c, plane, kept.error());
    return;
  }
  chunk.held |= 1u << plane;
}

// A lower level second, recomputation third: what is left of the ladder says which, to the
// controller.
void Session::lose_plane(uint32_t c, uint32_t plane, const manifests::Error& why) {
  ChunkState& chunk = seen_.chunks[c];
  chunk.max_level = std::min(chunk.max_level, static_cast<int>(plane) - 1);
  chunk.held &= (1u << plane) - 1;
  last_failure_ = why;
  journal_.note("plane_lost", c, plane,
                fmt::format("{}; {}", why.message,
                            chunk.network_can() ? fmt::format("level {} is left", chunk.max_level)
                                                : "recomputation is left"));
}

Status Session::take_decodes() {
  const auto finished = decoding_.collect();
  if (!finished) return finished.error();
  for (const Decoding::Chunk& done : *finished) {
    ChunkState& chunk = seen_.chunks[done.chunk];
    chunk.decoding_level = -1;
    chunk.decoded_level = done.level;
    if (!done.fault.empty()) {
      lose_plane(done.chunk, static_cast<uint32_t>(done.level + 1),
                 {manifests::ErrorKind::kCorrupt, done.fault});
    }
    const manifests::ChunkEntry& entry = presentation_.manifest.chunks[done.chunk];
    journal_.note("decoded", done.chunk, {}, fmt::format("level {}", done.level));
    if (chunk.decoded_level >= chunk.min_level && group_handed_.empty()) {
      sink_.chunk_ready(entry.token_begin, entry.token_end);
    }
    if (chunk.decoded_level == chunk.max_level && chunk.fetching == 0) {
      decoding_.release(done.chunk);
    }
  }
  return {};
}

Status Session::take_recompute() {
  if (auto finished = recomputing_.collect()) {
    const manifests::ChunkEntry& entry = presentation_.manifest.chunks[finished->chunk];
    gpu_seconds_ += finished->seconds;
    if (finished->error) {
      last_failure_ = *finished->error;
      recomputing_.give_up();
      journal_.note("recompute_failed", finished->chunk, {}, finished->error->message);
    } else if (finished->cancelled) {
      journal_.note("recompute_cancelled", finished->chunk, {}, "cancelled",
                    {{"seconds", finished->seconds}});
    } else {
      engine_slack_.add(seen_.chunks[finished->chunk].recompute_s, finished->seconds);
      recompute_cost_.add(entry.token_begin, entry.token_end, finished->seconds);
      committing_ = finished->chunk;
      journal_.note("recomputed", finished->chunk, {},
                    fmt::format("{:.1f} ms, {:.1f} expected", finished->seconds * 1e3,
                                seen_.chunks[finished->chunk].recompute_s * 1e3),
                    {{"seconds", finished->seconds}});
    }
  }
  if (committing_ && seen_.chunks[*committing_].decoding_level < 0) return commit_recompute();
  return {};
}

Status Session::commit_recompute() {
  const uint32_t c = *std::exchange(committing_, std::nullopt);
  if (Status placed = decoding_.place(c, recomputing_.staged()); !placed) return placed;
  seen_.chunks[c].recomputed = true;
  decoding_.release(c);
  const manifests::ChunkEntry& entry = presentation_.manifest.chunks[c];
  sink_.chunk_ready(entry.token_begin, entry.token_end);
  return {};
}

}  // namespace kvcast::player
