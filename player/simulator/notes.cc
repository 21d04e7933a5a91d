// What a player's journal would say (session/journal.h), of a simulated play.
#include <fmt/format.h>

#include "player/simulator/run.h"

namespace kvcast::player {

void SimulatedRun::note(double at_s, std::string_view what, std::optional<uint32_t> chunk,
                        std::optional<uint32_t> plane, std::string reason,
                        std::vector<std::pair<std::string_view, double>> numbers) const {
  params_.on_event({at_s * 1e3, what, chunk, plane, std::move(reason), std::move(numbers)});
}

void SimulatedRun::note_complete(double at_s, uint64_t id) const {
  std::vector<std::pair<std::string_view, double>> numbers = {
      {"rate_bytes_per_s", rate_.bytes_per_s(at_s)}, {"ttfb_ms", ttfb_.spread().median * 1e3}};
  const auto received = [&numbers](uint64_t bytes) {
    numbers.emplace_back("received_bytes", static_cast<double>(bytes));
  };
  if (id == kManifestId || id == kProfileId) {
    received(id == kManifestId ? presentation_.manifest_bytes : presentation_.profile_bytes);
    note(at_s, "complete", {}, {}, id == kManifestId ? "manifest" : "profile", std::move(numbers));
    return;
  }
  const auto chunk = static_cast<uint32_t>((id - kFirstPlaneId) / kIdsPerChunk);
  const auto plane = static_cast<uint32_t>((id - kFirstPlaneId) % kIdsPerChunk);
  received(presentation_.chunks[chunk].ladder[plane].bytes);
  note(at_s, "complete", chunk, plane, fmt::format("chunk {} plane {}", chunk, plane),
       std::move(numbers));
}

void SimulatedRun::note_end_of_recompute(double at_s, const char* what, const char* why) const {
  note(at_s, what, seen_.recomputing, {},
       fmt::format("{}, {:.1f} ms of {:.1f} expected", why, seen_.recompute_elapsed_s * 1e3,
                   seen_.chunks[*seen_.recomputing].recompute_s * 1e3),
       {{"seconds", seen_.recompute_elapsed_s}});
}

}  // namespace kvcast::player
