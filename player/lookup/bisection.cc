#include "player/lookup/bisection.h"

#include <algorithm>

namespace kvcast::player {

std::vector<uint64_t> Bisection::next() const {
  const uint64_t open = absent_ - present_;  // blocks not known
  const uint64_t count = std::min<uint64_t>(std::max(probes_, 1u), open);
  // The first round cuts into `count` parts, each asked for by its last block; later ones into
  // count + 1, of which the last needs no question.
  const uint64_t parts = first_ || count == open ? count : count + 1;
  std::vector<uint64_t> blocks;
  for (uint64_t i = 1; i <= count; ++i) {
    // i * open / parts without overflow: probes are few, contexts below 2^40 tokens.
    blocks.push_back(present_ + i * open / parts - 1);
  }
  return blocks;
}

void Bisection::answer(uint64_t block, bool is_present) {
  first_ = false;
  if (is_present) {
    present_ = std::max(present_, block + 1);
    absent_ = std::max(absent_, present_);
  } else {
    absent_ = std::max(std::min(absent_, block), present_);
  }
}

std::optional<uint64_t> Bisection::last_present() const {
  if (present_ == 0) return std::nullopt;
  return present_ - 1;
}

}  // namespace kvcast::player
