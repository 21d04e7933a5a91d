// A stream that a warp decodes, a state a lane. kernels/plane_format.md, section 4.
#pragma once

#include "kernels/cuda/arguments.cuh"
#include "kernels/entropy/rans_words.cuh"

namespace kvcast::kernels {
namespace {

// In shared memory, the stream's own.
struct StreamMemory {
  alignas(16) uint16_t ring[StreamWords::kRingWords];
  uint32_t kept[kWarpLanes];
};

struct RansStream {
  StreamWords words;
  uint32_t state;
  uint32_t index;  // StreamTask
  bool active;     // this lane has a channel in the group at hand
  uint32_t* kept;  // shared memory: states of lanes that have none

  // kNone: a stream of no groups.
  KVCAST_DEVICE void open(const DecodeArguments& arguments, uint32_t stream, StreamMemory& memory) {
    index = stream;
    kept = memory.kept;
    active = false;
    state = kStateLow;
    if (stream == kNone) {
      words.open(arguments.planes, 0, 0, memory.ring);
      return;
    }
    const StreamTask& own = task(arguments);
    if (lane_index() < own.lanes) state = at<uint32_t>(arguments.planes, own.offset)[lane_index()];
    words.open(arguments.planes, arguments.planes_bytes, words_offset(own), memory.ring);
    if (any(state < kStateLow) && lane_index() == 0)
      atomic_or(&arguments.errors[own.section], kDeviceBadState);
  }

  KVCAST_DEVICE const StreamTask& task(const DecodeArguments& arguments) const {
    return arguments.list(arguments.streams)[index];
  }
  KVCAST_DEVICE uint32_t groups(const DecodeArguments& arguments) const {
    return index == kNone ? 0 : task(arguments).groups;
  }
  KVCAST_DEVICE const GroupTask& group(const DecodeArguments& arguments, uint32_t number) const {
    return arguments.list(arguments.groups)[task(arguments).first_group + number];
  }

  // The stream's group number `number`: whether there is one.
  KVCAST_DEVICE bool begin_group(const DecodeArguments& arguments, uint32_t number) {
    const bool there = number < groups(arguments);
    active = there && lane_index() < group(arguments, number).lanes;
    kept[lane_index()] = state;
    return there;
  }
  // Lanes without a channel have decoded nonsense meanwhile, without taking words.
  KVCAST_DEVICE void end_group() {
    if (!active) state = kept[lane_index()];
  }

  // After a decoding step: `next` is this lane's state before it takes a word.
  KVCAST_DEVICE void advance(uint32_t next) {
    const bool takes = active && next < kStateLow;
    const uint32_t taking = ballot(takes);
    state = next;
    if (takes) state = next << kWordBits | words.word(count_ones(taking & lanes_below()));
    words.use(count_ones(taking));
  }

  // After the last group.
  KVCAST_DEVICE void close(const DecodeArguments& arguments) const {
    if (index == kNone) return;
    const StreamTask& own = task(arguments);
    const uint32_t count = (own.bytes - own.lanes * kStateBytes) / kWordBytes;
    const bool ended = words.used(words_offset(own)) == count;
    if (any(state != kStateLow || !ended) && lane_index() == 0)
      atomic_or(&arguments.errors[own.section], kDeviceBadEnd);
  }

 private:
  KVCAST_DEVICE static uint64_t words_offset(const StreamTask& task) {
    return task.offset + task.lanes * kStateBytes;
  }
};

// How long two streams take together.
KVCAST_DEVICE uint32_t groups_of_pair(const DecodeArguments& arguments, const RansStream& first,
                                      const RansStream& second) {
  const uint32_t a = first.groups(arguments), b = second.groups(arguments);
  return a > b ? a : b;
}

}  // namespace
}  // namespace kvcast::kernels
