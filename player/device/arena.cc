#include "player/device/arena.h"

#include <algorithm>
#include <iterator>

namespace kvcast::player {

Arena::Arena(size_t bytes) : bytes_(bytes / kAlignment * kAlignment) {
  if (bytes_ > 0) free_.emplace(0, bytes_);
}

std::optional<size_t> Arena::take(size_t bytes) {
  if (bytes > bytes_) return std::nullopt;
  const size_t wanted = std::max(rounded(bytes), kAlignment);
  const auto gap =
      std::find_if(free_.begin(), free_.end(), [&](const auto& g) { return g.second >= wanted; });
  if (gap == free_.end()) return std::nullopt;
  const auto [offset, length] = *gap;
  free_.erase(gap);
  if (length > wanted) free_.emplace(offset + wanted, length - wanted);
  taken_.emplace(offset, wanted);
  used_ += wanted;
  return offset;
}

void Arena::give_back(size_t offset) {
  const auto place = taken_.find(offset);
  size_t length = place->second;
  taken_.erase(place);
  used_ -= length;
  auto after = free_.upper_bound(offset);
  if (after != free_.end() && after->first == offset + length) {
    length += after->second;
    after = free_.erase(after);
  }
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == offset) {
      before->second += length;
      return;
    }
  }
  free_.emplace(offset, length);
}

}  // namespace kvcast::player
