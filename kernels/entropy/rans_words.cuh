// The words of a stream on their way to a warp: a ring in shared memory, filled 512 bytes at a time
// from loads that were begun long before.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/entropy/rans_format.h"

namespace kvcast::kernels {
namespace {

// Steps that are decoded between two looks at the ring.
constexpr uint32_t kWindowSteps = 8;

class StreamWords {
 public:
  static constexpr uint32_t kHalf = kWindowSteps * kWarpLanes;  // words
  // The first half again after the second, so that a window never wraps.
  static constexpr uint32_t kRingWords = 3 * kHalf;

  // Words begin at `planes + offset`, a multiple of 4 bytes. `readable`: bytes of `planes`, a
  // multiple of 16, as its address is; what lies behind reads as zeros.
  KVCAST_DEVICE void open(const std::byte* planes, uint64_t readable, uint64_t offset,
                          uint16_t* ring) {
    const uint64_t first = offset & ~uint64_t{15};
    const uint64_t words = (readable - first) / kWordBytes;
    from_ = planes + first + lane_index() * sizeof(Bytes16);
    readable_ = words < kMostWords ? static_cast<uint32_t>(words) : kMostWords;
    ring_ = ring;
    used_ = skipped(offset);
    loaded_ = 0;
    fetch();
  }

  // Before a window: there are kHalf words, or what the stream has and others behind.
  KVCAST_DEVICE void fill() {
    while (static_cast<int32_t>(loaded_ - used_) < static_cast<int32_t>(kHalf)) {
      sync_warp();  // every lane has read what is overwritten
      uint16_t* const half = ring_ + (loaded_ & kHalf) + lane_index() * 8;
      *reinterpret_cast<Bytes16*>(half) = ahead_;
      if ((loaded_ & kHalf) == 0) *reinterpret_cast<Bytes16*>(half + 2 * kHalf) = ahead_;
      loaded_ += kHalf;
      fetch();
    }
    sync_warp();
    at_ = window();
  }

  // In a window: the word that is `index` after those used.
  KVCAST_DEVICE uint32_t word(uint32_t index) const { return at_[index]; }
  KVCAST_DEVICE void use(uint32_t words) { at_ += words; }
  KVCAST_DEVICE void end_window() { used_ += static_cast<uint32_t>(at_ - window()); }

  // Between windows; `offset`: as for open().
  KVCAST_DEVICE uint32_t used(uint64_t offset) const { return used_ - skipped(offset); }

 private:
  static constexpr uint32_t kMostWords = 0xFFFFF000;  // more than any stream uses

  // From the multiple of 16 bytes before.
  KVCAST_DEVICE static uint32_t skipped(uint64_t offset) {
    return static_cast<uint32_t>(offset & 15) / kWordBytes;
  }
  KVCAST_DEVICE const uint16_t* window() const { return ring_ + (used_ & (2 * kHalf - 1)); }
  KVCAST_DEVICE void fetch() {
    const bool there = loaded_ + lane_index() * 8 < readable_;
    ahead_ = there ? load_once(from_ + size_t{loaded_} * kWordBytes) : Bytes16{};
  }

  const std::byte* from_;  // this lane's of the first words loaded
  uint16_t* ring_;
  const uint16_t* at_;  // in a window, the next word
  uint32_t readable_;   // words from the first loaded on
  uint32_t used_, loaded_;
  Bytes16 ahead_;
};

}  // namespace
}  // namespace kvcast::kernels
