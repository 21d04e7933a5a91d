// An engine made of the C header's callbacks. Threads: as Recompute.
#pragma once

#include <optional>

#include "player/kvcast.h"
#include "player/recompute.h"

namespace kvcast::player {

class CallbackRecompute final : public Recompute {
 public:
  explicit CallbackRecompute(const kvcast_recompute& table) : table_(table) {}
  std::optional<RecomputeCost> cost() const override;
  manifests::Result<RecomputeOutcome> prefill(const RecomputeTask& task,
                                              std::stop_token stop) override;

 private:
  kvcast_recompute table_;
};

}  // namespace kvcast::player
