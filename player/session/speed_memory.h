// What plays on this machine learn about its decoding and recomputing, by what does it: found in
// the history at the start of a play, left there at its end. Without a history it knows and learns
// nothing. The session's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/profile.h"
#include "player/play_history.h"
#include "player/player.h"
#include "player/session/presentation.h"

namespace kvcast::player {

class SpeedMemory {
 public:
  // `history` may be null; otherwise it must outlive this. `wall_clock_s`: seconds since 1970.
  SpeedMemory(PlayHistory* history, int64_t wall_clock_s, const Presentation& presentation,
              const PlayParams& params, KvSink& sink);

  // Null: exact objects, which need no profile.
  std::optional<Spread> decoding(const kernels::Profile* profile);
  std::optional<RecomputeCost> recomputing() const;

  void learn(const Spread& seconds_per_million, const std::optional<RecomputeCost>& recompute);

 private:
  PlayHistory* history_;
  int64_t wall_clock_s_;
  std::string decoder_;      // machine and implementation, or device
  std::string decode_kind_;  // the same, and what of; empty while that is not known
  std::string recompute_kind_;
};

}  // namespace kvcast::player
