// A play over real sockets, all of it in this process: an origin, the link, the player, an engine
// that takes its time (timed_engine.h).
#pragma once

#include <string>
#include <vector>

#include "manifests/result.h"
#include "player/player.h"
#include "player/simulator.h"

namespace kvcast::reality {

enum class Path {
  kOrigin,  // the origin paces its answers
  kProxy,   // and a proxy adds delay and loss
  kShaped,  // the kernel paces: tc tbf between network namespaces
};
const char* name_of(Path path);

struct RealLink {
  Path path = Path::kOrigin;
  std::vector<player::LinkTrace::Step> steps;  // kShaped: the first is all there is
  double rtt_s = 0, loss = 0;                  // of the proxy
  uint64_t seed = 1;
};

struct RealPlay {
  std::string store;     // the folder that the origin serves
  std::string manifest;  // its path below
  RealLink link;
  double tokens_per_s = 0, position_cost = 0;  // of the engine; 0: there is none
  player::PlayParams params;
  player::EventHandler on_event;
};

// Errors: what of the machine is missing, or the play's own.
manifests::Result<player::PlayReport> play_for_real(const RealPlay& play,
                                                    const std::string& scratch_folder);

}  // namespace kvcast::reality
