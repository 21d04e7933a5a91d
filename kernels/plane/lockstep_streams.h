// The streams of a base section or of one pass, and which of them can be decoded together: vector
// kernels run several streams in lock step when the next group of each is of one class and has all
// 32 lanes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/entropy/rans.h"
#include "kernels/fault.h"
#include "kernels/plane/reader.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

struct LockstepStream {
  const StreamView* view;
  RansDecoder decoder;
  RansCursor cursor;  // ahead of the decoder while vector kernels run
  std::span<const uint32_t> groups;
  size_t next_group = 0;  // of `groups`
  uint32_t escapes_before = 0, escapes_taken = 0;

  uint32_t group() const { return groups[next_group]; }
  Fault at(const Fault& fault) const { return {fault.what, view->offset + fault.offset}; }
};

// The streams whose next groups come next. More than one: all groups have 32 lanes.
struct LockstepBatch {
  std::array<LockstepStream*, kMaxLockstep> streams{};
  uint32_t count = 0;
};

class LockstepStreams {
 public:
  // `section` holds the streams' bytes. All arguments must outlive this.
  LockstepStreams(const SectionShape& shape, const BaseView& base, const StreamTable& table,
                  std::span<const std::byte> section);
  LockstepStreams(const LockstepStreams&) = delete;

  Check open();
  LockstepBatch next_batch();  // count 0: all groups are done
  // The batch's groups were decoded. Fault: words ran out, or a stream did not end well.
  Check advance(const LockstepBatch& batch);

 private:
  const SectionShape& shape_;
  const BaseView& base_;
  const StreamTable& table_;
  std::span<const std::byte> section_;
  std::vector<uint32_t> groups_;                // not empty, in coding order
  std::vector<std::vector<std::byte>> copies_;  // of streams too close to the section's end
  std::vector<LockstepStream> streams_;
  size_t first_ = 0;  // the first stream that is not done
};

}  // namespace kvcast::kernels
