// One simulated play: the session's loop (session/session.h) in virtual time, with the same order
// of what happens and the same rules on what may touch KV.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "player/estimator.h"
#include "player/estimator/rate_samples.h"
#include "player/simulator.h"
#include "player/simulator/fluid_link.h"
#include "player/throughput.h"

namespace kvcast::player {

class SimulatedRun {
 public:
  // All must outlive it.
  SimulatedRun(const Controller& controller, const SimulatedPresentation& presentation,
               const LinkTrace& trace, const SimulationParams& params);
  SimulatedPlay run();

 private:
  struct Decoding {
    uint32_t chunk = 0, level = 0;
    double left_s = 0;
  };
  struct Queued {
    uint64_t id = 0, bytes = 0;
    bool urgent = false;
  };
  static constexpr uint64_t kManifestId = 0, kProfileId = 1, kFirstPlaneId = 2, kIdsPerChunk = 32;
  static uint64_t plane_id(uint32_t chunk, uint32_t plane) {
    return kFirstPlaneId + kIdsPerChunk * chunk + plane;
  }

  // Time.
  double next_s();
  bool advance(double to_s);  // whether something happened that the session would see
  bool receive(double to_s);
  void take_transfer(uint64_t id);
  bool recompute(double seconds);
  bool decode(double seconds);

  // Decisions.
  bool decide();  // true: the play is over
  void look();
  void apply_transfers(const Choice& choice);
  void apply_recompute(const Choice& choice);
  size_t apply_decodes(const Choice& choice);
  bool can_finish() const;
  bool stuck() const;
  void freeze(const std::string& reason);
  void start_queued();
  void predict();
  double suffix_s() const { return params_.suffix_prefill_s * params_.engine_slowdown; }
  SimulatedPlay outcome() const;

  // Of the journal, where somebody listens.
  bool listened_to() const { return static_cast<bool>(params_.on_event); }
  void note(double at_s, std::string_view what, std::optional<uint32_t> chunk,
            std::optional<uint32_t> plane, std::string reason,
            std::vector<std::pair<std::string_view, double>> numbers = {}) const;
  void note_complete(double at_s, uint64_t id) const;
  void note_end_of_recompute(double at_s, const char* what, const char* why) const;

  const Controller& controller_;
  const SimulatedPresentation& presentation_;
  const SimulationParams& params_;
  FluidLink link_;
  Observation seen_;
  SimulatedPlay out_;
  ThroughputEstimator rate_;
  LatencyEstimator ttfb_;
  RateSamples samples_;
  EngineSlack slack_;
  double engine_ratio_ = 1, engine_weight_ = 1;
  std::deque<Queued> queue_;
  std::vector<Decoding> decodes_;
  std::optional<uint32_t> committing_, wanted_recompute_;
  double now_s_ = 0, decided_s_ = 0, uncounted_bytes_ = 0;
  bool opened_ = false, profile_here_ = false, decoded_any_ = false;
};

}  // namespace kvcast::player
