// One play of a chaos schedule, in virtual time, and what it came to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "player/chaos/network.h"
#include "player/chaos/schedule.h"
#include "player/player.h"
#include "player/testing/sample_presentation.h"

namespace kvcast::player {

// The sample with and without text, and with the second base named.
const Sample& chaos_sample(bool text, uint32_t bases);

// Each tensor's rows of a chunk, in a sink or as they were packed.
std::vector<std::byte> rows_of(const Sample& of, const HostKvSink& sink, uint32_t chunk);
std::vector<std::byte> true_rows(const Sample& of, uint32_t chunk);

class MaybeFullSink final : public HostKvSink {
 public:
  explicit MaybeFullSink(bool full) : full_(full) {}
  manifests::Status prepare(const KvShape& shape, const manifests::KvFileInfo& about) override;
  void layer_ready(uint32_t) override { ++layers; }
  uint32_t layers = 0;

 private:
  bool full_;
};

// Takes virtual time, and answers with the KV the sample was packed from.
class VirtualEngine final : public Recompute {
 public:
  VirtualEngine(const Sample& truth, const Schedule& schedule, ChaosNetwork& network)
      : truth_(truth), schedule_(schedule), network_(network) {}
  manifests::Result<RecomputeOutcome> prefill(const RecomputeTask& task,
                                              std::stop_token stop) override;
  double last_end_s = 0;

 private:
  const Sample& truth_;
  const Schedule& schedule_;
  ChaosNetwork& network_;
};

struct Played {
  manifests::Result<PlayReport> report = manifests::Error{};
  double end_s = 0, last_byte_s = 0, last_engine_s = 0;
  uint32_t faults = 0;
  bool manifest_came = false;
  std::vector<std::vector<std::byte>> rows;  // by chunk; of a host sink
  uint32_t layers = 0;                       // handed over
};

PlayParams chaos_params(const Schedule& schedule);
// KVCAST_CHAOS_SEED in the environment: events go to stderr.
Played play_schedule(const Schedule& schedule, const PlayParams& params);
inline Played play_schedule(const Schedule& schedule) {
  return play_schedule(schedule, chaos_params(schedule));
}
// The same into any sink; leaves `rows` and `layers` alone.
Played play_schedule_into(const Schedule& schedule, const PlayParams& params, KvSink& sink);

// [level][chunk], of plays in which nothing went wrong.
const std::vector<std::vector<std::vector<std::byte>>>& clean_rows();

}  // namespace kvcast::player
