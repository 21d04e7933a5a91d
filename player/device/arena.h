// Places in a fixed stretch of memory: first fit, neighbours joined when given back. Knows offsets
// only, so that the memory may be a device's.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

namespace kvcast::player {

class Arena {
 public:
  static constexpr size_t kAlignment = 256;
  static constexpr size_t rounded(size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  explicit Arena(size_t bytes);
  size_t bytes() const { return bytes_; }
  size_t used() const { return used_; }

  std::optional<size_t> take(size_t bytes);  // an offset; nothing where no gap is long enough
  void give_back(size_t offset);             // what take() answered

 private:
  size_t bytes_, used_ = 0;
  std::map<size_t, size_t> free_, taken_;  // offset -> bytes
};

}  // namespace kvcast::player
