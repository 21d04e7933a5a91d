#include "kernels/plane/lockstep_streams.h"

#include <algorithm>

namespace kvcast::kernels {
namespace {

constexpr size_t kWindow = 16;  // streams considered for a batch

}  // namespace

LockstepStreams::LockstepStreams(const SectionShape& shape, const BaseView& base,
                                 const StreamTable& table, std::span<const std::byte> section)
    : shape_(shape), base_(base), table_(table), section_(section) {
  for (const uint32_t g : base.coding_order) {
    if (!table.empty[g]) groups_.push_back(g);
  }
}

Check LockstepStreams::open() {
  std::span<const uint32_t> groups = groups_;
  uint32_t escapes = 0;
  streams_.reserve(table_.streams.size());
  for (const StreamView& view : table_.streams) {
    std::span<const std::byte> bytes = view.bytes;
    if (section_.size() - view.offset - bytes.size() < kReadAhead) {
      auto& copy = copies_.emplace_back(bytes.begin(), bytes.end());
      copy.resize(bytes.size() + kReadAhead);
      bytes = std::span(copy).first(bytes.size());
    }
    auto decoder = RansDecoder::open(bytes, view.lanes);
    if (!decoder) {
      return Fault{decoder.fault().what, view.offset + decoder.fault().offset};
    }
    streams_.push_back({&view, *decoder, decoder->cursor(), groups.first(view.groups), 0, escapes});
    groups = groups.subspan(view.groups);
    escapes += view.escapes;
  }
  return {};
}

LockstepBatch LockstepStreams::next_batch() {
  const auto done = [](const LockstepStream& stream) {
    return stream.next_group == stream.groups.size();
  };
  while (first_ < streams_.size() && done(streams_[first_])) ++first_;
  LockstepBatch batch;
  if (first_ == streams_.size()) return batch;
  batch.streams[batch.count++] = &streams_[first_];
  const uint32_t group = streams_[first_].group();
  if (shape_.lanes(group) < kLanes) return batch;
  const size_t end = std::min(streams_.size(), first_ + kWindow);
  for (size_t s = first_ + 1; s < end && batch.count < kMaxLockstep; ++s) {
    if (done(streams_[s])) continue;
    const uint32_t other = streams_[s].group();
    if (base_.scale_class[other] == base_.scale_class[group] && shape_.lanes(other) == kLanes)
      batch.streams[batch.count++] = &streams_[s];
  }
  return batch;
}

Check LockstepStreams::advance(const LockstepBatch& batch) {
  for (uint32_t i = 0; i < batch.count; ++i) {
    LockstepStream& stream = *batch.streams[i];
    if (Check check = stream.decoder.resume(stream.cursor); !check) return stream.at(check.fault());
    if (++stream.next_group < stream.groups.size()) continue;
    if (Check check = stream.decoder.finish(); !check) return stream.at(check.fault());
  }
  return {};
}

}  // namespace kvcast::kernels
