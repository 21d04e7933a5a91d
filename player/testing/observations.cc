#include "player/testing/observations.h"

#include <stdexcept>

namespace kvcast::player::testing {

ChunkState chunk_of(uint64_t base_bytes, double recompute_s) {
  ChunkState chunk;
  chunk.tokens = 128;
  chunk.recompute_s = recompute_s;
  const double quality[] = {0.85, 0.93, 0.97, 0.99};
  const double bytes[] = {1, 0.4, 0.45, 0.5};
  for (int n = 0; n < 4; ++n) {
    chunk.ladder.push_back({static_cast<uint64_t>(static_cast<double>(base_bytes) * bytes[n]),
                            quality[n], 0.0005 * (n + 1)});
  }
  chunk.max_level = 3;
  return chunk;
}

Observation view_of(size_t chunks) {
  Observation seen;
  seen.deadline_s = 1;
  seen.freeze_s = 0.9;
  seen.chunks.assign(chunks, chunk_of(50'000, 0.1));
  seen.recompute_available = true;
  seen.engine_slack = 1.1;
  seen.free_transfers = 4;
  seen.free_decodes = 2;
  seen.rate_bytes_per_s = 1e6;
  return seen;
}

std::unique_ptr<Controller> controller(std::string_view name) {
  auto made = make_controller(name);
  if (!made) throw std::invalid_argument(made.error().message);
  return std::move(*made);
}

std::vector<uint32_t> chunks_of(const std::vector<Fetch>& fetches) {
  std::vector<uint32_t> chunks;
  for (const Fetch& fetch : fetches) chunks.push_back(fetch.chunk);
  return chunks;
}

}  // namespace kvcast::player::testing
