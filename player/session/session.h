// One play, from the opened presentation to the last layer. The loop: take what happened
// (transfers, decodes, recomputes), show it to the controller, do what it chose; after the freeze
// decode what is left and hand the layers over.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "player/controller.h"
#include "player/estimator.h"
#include "player/player.h"
#include "player/session/decoding.h"
#include "player/session/journal.h"
#include "player/session/link.h"
#include "player/session/presentation.h"
#include "player/session/recomputing.h"
#include "player/session/speed_memory.h"

namespace kvcast::player {

class Session {
 public:
  // All must outlive it. `destinations` are the prepared sink's.
  Session(Transport& transport, Link& link, const Journal& journal, const PlayParams& params,
          const Presentation& presentation, const Controller& controller, KvSink& sink,
          const std::vector<kernels::MutableTensorView>& destinations, Recompute* recompute,
          SpeedMemory& memory);
  ~Session();  // leaves in the memory what was learned
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // `tokens` of the context, if the caller has them.
  manifests::Result<PlayReport> run(const std::vector<uint32_t>& tokens, std::stop_token stop);

 private:
  using Status = manifests::Status;

  // What happened.
  Status start_assets(const std::vector<uint32_t>& tokens);
  void use_tokens(const std::vector<uint32_t>& tokens);
  void take_outcome(Link::Outcome& outcome);
  void take_plane(Link::Outcome& outcome);
  void take_text(Link::Outcome& outcome);
  Status take_decodes();
  Status take_recompute();
  Status commit_recompute();
  void lose_plane(uint32_t chunk, uint32_t plane, const manifests::Error& why);
  void lose_profile(const manifests::Error& why);
  void remember_decoding();

  // What to do.
  Status decide();
  void look();
  void apply_transfers(const Choice& choice);
  void apply_recompute(const Choice& choice);
  size_t apply_decodes(const Choice& choice);
  bool can_finish() const;
  void freeze(const Choice& choice);
  void thaw();
  Status check_not_stuck() const;
  Status check_not_too_late() const;
  void hand_layers_over();
  std::chrono::nanoseconds wait_time() const;
  PlayReport report() const;

  Link& link_;
  const Journal& journal_;
  const PlayParams& params_;
  const Presentation& presentation_;
  const Controller& controller_;
  KvSink& sink_;
  SpeedMemory& memory_;
  Observation seen_;
  RecomputeEstimator recompute_cost_;
  EngineSlack engine_slack_;
  std::optional<uint32_t> committing_;  // recomputed, and waiting for a decode of the same chunk
  std::optional<uint32_t> wanted_recompute_;
  std::vector<bool> group_handed_;  // layer groups; empty until the first one is
  std::optional<manifests::Error> last_failure_;
  double suffix_prefill_s_ = 0, freeze_at_s_ = 0, ready_at_s_ = 0, decision_max_s_ = 0,
         gpu_seconds_ = 0;
  bool handed_over_ = false;
  Decoding decoding_;  // last: their threads use the above
  Recomputing recomputing_;
};

}  // namespace kvcast::player
