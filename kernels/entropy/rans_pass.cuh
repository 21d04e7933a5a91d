// Passes of refinement sections on a device: as kernels/entropy/rans_base.cuh, but which of three
// tables decodes a symbol depends on the value that it refines. The tables' buckets lie in 48 words
// of shared memory, no two of a lookup in one bank.
#pragma once

#include "kernels/cuda/arguments.cuh"
#include "kernels/entropy/rans_stream.cuh"
#include "kernels/quantise/reconstruct.cuh"

namespace kvcast::kernels {
namespace {

// Of one stream, in shared memory.
struct PassStreamMemory {
  StreamMemory stream;
  uint32_t table[sizeof(PassImage) / sizeof(uint32_t)];  // dividers, then sides
  // Of the group at hand.
  CellOfClass cell;
  uint32_t outliers_from;
  GroupTask group;
};

struct PassStream {
  RansStream rans;
  PassStreamMemory* memory;
  uint16_t* place;  // this lane's in the next row
  uint32_t row = 0;

  KVCAST_DEVICE void open(const DecodeArguments& arguments, uint32_t stream,
                          PassStreamMemory& own) {
    memory = &own;
    rans.open(arguments, stream, memory->stream);
    place = nullptr;
    if (lane_index() == 0) memory->group = {};
  }

  KVCAST_DEVICE void begin_group(const DecodeArguments& arguments, uint32_t number) {
    sync_warp();  // every lane has read what is overwritten
    if (rans.begin_group(arguments, number)) {
      const StreamTask& stream = rans.task(arguments);
      const DecodeSection& section = arguments.section(stream.section);
      const GroupTask& group = rans.group(arguments, number);
      const PassImage& image = arguments.scale_class(group.scale_class).passes[stream.pass];
      if (lane_index() < 16) memory->table[lane_index()] = image.divider[lane_index()];
      memory->table[16 + lane_index()] = image.side[lane_index()];
      row = section.row;
      place = arguments.coefficients(section) + group.group * kWarpLanes + lane_index();
      if (lane_index() == 0) {
        memory->cell = CellOfClass(arguments, section, group.scale_class);
        memory->outliers_from = (largest_in_place(section.passes) + 1) << section.passes;
        memory->group = group;
      }
    }
    sync_warp();
  }

  template <bool kWhole>
  KVCAST_DEVICE void load(uint32_t (&values)[kWindowSteps], uint32_t count) const {
    const bool known = rans.active && memory->group.first == 0;
    const uint32_t before = memory->group.before;
    KVCAST_UNROLL
    for (uint32_t step = 0; step < kWindowSteps; ++step) {
      const bool there = known && (kWhole || step < count);
      const uint32_t value = there ? place[size_t{step} * row] : 0;
      values[step] = (value & kSignOfValue) | (value & kMagnitudeOfValue) << before;
    }
  }

  // Answers the value refined by one bit.
  KVCAST_DEVICE uint32_t refine(uint32_t value) {
    const uint32_t* const table = memory->table;
    const uint32_t magnitude = value & kMagnitudeOfValue;
    const uint32_t slot = rans.state & (kSlots - 1);
    const uint32_t bucket = (magnitude < 2 ? magnitude : 2) * 4 + (slot >> 10);
    const uint32_t side = table[16 + bucket + (slot >= table[bucket] ? 16 : 0)];
    rans.advance((side >> 6 & 0x1FFF) * (rans.state >> kProbabilityBits) + slot +
                 static_cast<uint32_t>(static_cast<int32_t>(side) >> 19));
    return (value & kSignOfValue) | (side & 2) << 14 | magnitude << 1 | (side & 1);
  }

  template <bool kWhole>
  KVCAST_DEVICE void store(uint32_t (&values)[kWindowSteps], uint32_t count) {
    if (memory->group.last != 0) {
      const CellOfClass cell = memory->cell;
      const uint32_t after = memory->group.after, outliers_from = memory->outliers_from;
      KVCAST_UNROLL
      for (uint32_t step = 0; step < kWindowSteps; ++step) {
        const uint32_t sign = values[step] & kSignOfValue;
        const uint32_t magnitude = (values[step] & kMagnitudeOfValue) << after;
        values[step] =
            magnitude >= outliers_from ? sign | magnitude : cell.reconstruct(magnitude, sign);
      }
    }
    KVCAST_UNROLL
    for (uint32_t step = 0; step < kWindowSteps; ++step) {
      if (rans.active && (kWhole || step < count))
        place[size_t{step} * row] = static_cast<uint16_t>(values[step]);
    }
    place += size_t{count} * row;
    rans.words.end_window();
  }
};

template <bool kWhole>
KVCAST_DEVICE void refine_window(PassStream (&streams)[2], uint32_t count) {
  uint32_t values[2][kWindowSteps];
  streams[0].template load<kWhole>(values[0], count);
  streams[1].template load<kWhole>(values[1], count);
  streams[0].rans.words.fill();
  streams[1].rans.words.fill();
  KVCAST_UNROLL
  for (uint32_t step = 0; step < kWindowSteps; ++step) {
    if (!kWhole && step >= count) break;
    values[0][step] = streams[0].refine(values[0][step]);
    values[1][step] = streams[1].refine(values[1][step]);
  }
  streams[0].template store<kWhole>(values[0], count);
  streams[1].template store<kWhole>(values[1], count);
}

// All groups of two streams of as many steps.
KVCAST_DEVICE void refine_pair(const DecodeArguments& arguments, const PairTask& pair,
                               PassStreamMemory* memory) {
  PassStream streams[2];
  streams[0].open(arguments, pair.stream[0], memory[0]);
  streams[1].open(arguments, pair.stream[1], memory[1]);
  const uint32_t groups = groups_of_pair(arguments, streams[0].rans, streams[1].rans);
  const uint32_t steps = arguments.section(streams[0].rans.task(arguments).section).tokens;
  for (uint32_t number = 0; number < groups; ++number) {
    streams[0].begin_group(arguments, number);
    streams[1].begin_group(arguments, number);
    uint32_t step = 0;
    for (; step + kWindowSteps <= steps; step += kWindowSteps)
      refine_window<true>(streams, kWindowSteps);
    if (step < steps) refine_window<false>(streams, steps - step);
    streams[0].rans.end_group();
    streams[1].rans.end_group();
  }
  streams[0].rans.close(arguments);
  streams[1].rans.close(arguments);
  sync_warp();  // the memory may be another pair's now
}

}  // namespace
}  // namespace kvcast::kernels
