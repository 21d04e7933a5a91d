// The recompute frontier of the layered controller: which chunk the engine should be on, and how
// far it will get before the freeze.
#pragma once

#include <cstdint>
#include <vector>

#include "player/controller.h"

namespace kvcast::player {

class Front {
 public:
  explicit Front(const Observation& seen);  // keeps a reference

  // Fills choice.recompute and its reason. In order:
  //   a missing chunk that the front will not reach in time, or the network not before the engine,
  //   when all KV before it is in the sink;
  //   the chunk at the front, while it is missing or ends before the freeze, and is worth its
  //   price.
  void choose(Choice& choice);

  // First chunk that recomputation will not have finished by the freeze, with some slack.
  uint32_t reach() const { return reach_; }

  // Seconds from now until the chunk is recomputed, at what choose() chose; infinite if it is not
  // on the way.
  double finish_s(uint32_t chunk) const { return finish_s_[chunk]; }

 private:
  double remaining_s(uint32_t chunk) const;  // of one that may be half done
  bool worth(uint32_t chunk) const;
  bool should_jump(uint32_t hole) const;
  bool network_is_enough() const;
  double missing_arrival_s() const;
  const Observation& seen_;
  uint32_t front_ = 0;    // first chunk not recomputed
  uint32_t missing_ = 0;  // first chunk not in hand, or the number of chunks
  uint32_t reach_ = 0;
  std::vector<double> finish_s_;
};

}  // namespace kvcast::player
