#include "tools/commands/play_screen.h"

#include <fmt/format.h>

#include <cstdio>

namespace kvcast::tools {
namespace {

constexpr double kRefresh_ms = 50;

}  // namespace

void Screen::show(const player::PlayEvent& event) {
  events_.push_back(event);
  if (!progress_) return;
  fetched_ += event.what == "complete" && event.plane;
  decoded_ += event.what == "decoded";
  recomputed_ += event.what == "recomputed";
  if (event.time_ms - shown_ms_ < kRefresh_ms) return;
  shown_ms_ = event.time_ms;
  fmt::print(stderr, "\rplay: {:6.0f} ms  {} planes fetched, {} decodes, {} chunks recomputed  ",
             event.time_ms, fetched_, decoded_, recomputed_);
  std::fflush(stderr);
}

void Screen::end() {
  if (progress_) fmt::print(stderr, "\r{:78}\r", "");
}

void print_summary(const player::PlayReport& report, const std::string& continuation) {
  fmt::print("{}: first token after {:.0f} ms, deadline {:.0f} ms: {}\n",
             report.presentation.empty() ? "nothing stored" : report.presentation, report.ttft_ms,
             report.ttft_slo_ms, report.met ? "met" : "MISSED");
  fmt::print("{} tokens of KV, {} recomputed; {} bytes fetched for {} raw; quality {:.4f}\n",
             report.tokens, report.recomputed_tokens, report.bytes_fetched, report.raw_bytes,
             report.quality);
  std::string marks;
  for (const player::ChunkReport& chunk : report.chunks) {
    marks += chunk.recomputed ? "T" : chunk.level ? std::to_string(*chunk.level) : "=";
  }
  if (!marks.empty()) {
    fmt::print("chunk by chunk (T from text, = exact, else the level): {}\n", marks);
  }
  if (report.mean_kl && report.top1_agreement) {
    fmt::print("against the uncompressed cache: mean KL {:.6f}, top-1 agreement {:.1f}%\n",
               *report.mean_kl, 100 * *report.top1_agreement);
  }
  if (!continuation.empty()) fmt::print("goes on: {}\n", continuation);
}

}  // namespace kvcast::tools
