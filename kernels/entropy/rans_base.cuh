// Base sections on a device: a warp decodes two streams in lock step, so that while one waits for
// its table the other goes on. What a symbol becomes (a coefficient where no pass follows, else a
// value) is looked up among 32 words in shared memory, one for each bank. In SASS for sm_90 (nvcc
// 13.0) a step of 32 symbols, its store included, is 24.6 instructions with slots and 31.6 with
// buckets; 29.9 with slots and all that comes once a window, but for filling the ring.
#pragma once

#include "kernels/cuda/arguments.cuh"
#include "kernels/entropy/rans_stream.cuh"
#include "kernels/quantise/reconstruct.cuh"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kEscapeFlag = 0x80000000;  // in what a symbol becomes

// The ordinary table: 4096 slots in shared memory, of one class. For streams of that class alone.
struct SlotTable {
  const uint32_t* slots;

  // Answers the state before it takes a word; `symbol_bytes`: four times the symbol.
  KVCAST_DEVICE uint32_t decode(uint32_t state, uint32_t& symbol_bytes) const {
    const uint32_t entry = slots[state & (kSlots - 1)];
    symbol_bytes = entry & 0x7C;
    return (entry >> 7 & 0x1FFF) * (state >> kProbabilityBits) + (entry >> 20);
  }
  KVCAST_DEVICE void load(const ClassImage&) {}
};

// Buckets of the alias method: small enough for every stream of every warp to have its own, so that
// a stream may change its class with each group.
struct BucketTable {
  uint32_t* words;  // BaseAliasImage in shared memory
  uint32_t shift = 8;

  KVCAST_DEVICE uint32_t decode(uint32_t state, uint32_t& symbol_bytes) const {
    const uint32_t slot = state & (kSlots - 1), bucket = slot >> shift;
    const uint32_t side = words[32 + bucket + (slot >= words[bucket] ? 32 : 0)];
    symbol_bytes = (side & 31) * 4;
    return (side >> 6 & 0x1FFF) * (state >> kProbabilityBits) + slot +
           static_cast<uint32_t>(static_cast<int32_t>(side) >> 19);
  }
  KVCAST_DEVICE void load(const ClassImage& image) {
    const uint32_t lane = lane_index();
    words[lane] = image.base.divider[lane];
    words[32 + lane] = image.base.side[lane];
    words[64 + lane] = image.base.side[32 + lane];
    shift = image.bucket_shift;
  }
};

// Of one stream, in shared memory.
struct BaseStreamMemory {
  StreamMemory stream;
  uint32_t values[kWarpLanes];
};

template <typename Table>
struct BaseStream {
  RansStream rans;
  Table table;
  uint32_t* values;  // [symbol]: low half what it becomes, kEscapeFlag
  uint16_t* out;     // this lane's place in the next row
  uint32_t row = 0;
  uint32_t escapes_taken = 0;

  KVCAST_DEVICE void open(const DecodeArguments& arguments, uint32_t stream,
                          BaseStreamMemory& memory) {
    rans.open(arguments, stream, memory.stream);
    values = memory.values;
    values[lane_index()] = 0;
    out = nullptr;
  }

  KVCAST_DEVICE void begin_group(const DecodeArguments& arguments, uint32_t number) {
    sync_warp();  // every lane has read what is overwritten
    if (rans.begin_group(arguments, number)) {
      const DecodeSection& section = arguments.section(rans.task(arguments).section);
      const GroupTask& group = rans.group(arguments, number);
      const ClassImage& image = arguments.scale_class(group.scale_class);
      table.load(image);
      values[lane_index()] =
          value_of_symbol(CellOfClass(arguments, section, group.scale_class), group, image);
      row = section.row;
      out = arguments.coefficients(section) + group.group * kWarpLanes + lane_index();
    }
    sync_warp();
  }

  // This lane's symbol.
  KVCAST_DEVICE static uint32_t value_of_symbol(const CellOfClass& cell, const GroupTask& group,
                                                const ClassImage& image) {
    const uint32_t symbol = lane_index(), largest = image.alphabet / 2 - 1;
    if (symbol == image.alphabet - 1) return kEscapeFlag;
    return symbol < largest ? payload(cell, group, largest - symbol, kSignOfValue)
                            : payload(cell, group, symbol - largest, 0);
  }

  KVCAST_DEVICE static uint32_t payload(const CellOfClass& cell, const GroupTask& group,
                                        uint32_t magnitude, uint32_t sign) {
    if (group.last) return cell.reconstruct(magnitude << group.after, sign);
    return magnitude == 0 ? 0 : magnitude | sign;
  }

  // One symbol of each lane, step `step` of the window. Answers what it became.
  KVCAST_DEVICE uint32_t decode(uint32_t step) {
    uint32_t symbol_bytes;
    const uint32_t next = table.decode(rans.state, symbol_bytes);
    rans.advance(next);
    const uint32_t value = values[symbol_bytes / 4];
    if (rans.active) out[size_t{step} * row] = static_cast<uint16_t>(value);
    return value;
  }

  // Of the window that begins at step `first_step` of group number `number`. `flags`: bit count - 1
  // - step is set where this lane's symbol is an escape.
  KVCAST_DEVICE void place_escapes(const DecodeArguments& arguments, uint32_t number,
                                   uint32_t first_step, uint32_t flags, uint32_t count) {
    for (uint32_t step = 0; step < count; ++step) {
      const bool escapes = rans.active && (flags >> (count - 1 - step) & 1) != 0;
      const uint32_t escaping = ballot(escapes);
      if (escapes) {
        const uint32_t index = escapes_taken + count_ones(escaping & lanes_below());
        out[size_t{step} * row] =
            static_cast<uint16_t>(escaped(arguments, number, first_step + step, index));
      }
      escapes_taken += count_ones(escaping);
    }
  }

  // What number `index` of the stream's escapes becomes.
  KVCAST_DEVICE uint32_t escaped(const DecodeArguments& arguments, uint32_t number, uint32_t step,
                                 uint32_t index) const {
    const StreamTask& stream = rans.task(arguments);
    const DecodeSection& section = arguments.section(stream.section);
    const GroupTask& group = rans.group(arguments, number);
    if (index >= stream.escapes) return 0;  // close() reports it
    const uint32_t in_section = stream.first_escape + index;
    const int32_t value = arguments.escaped_value(section, in_section);
    const uint32_t sign = value < 0 ? kSignOfValue : 0;
    const auto bits = static_cast<uint32_t>(value);
    const uint32_t magnitude = value < 0 ? 0u - bits : bits;
    if (magnitude > section.largest_escape) {
      atomic_or(&arguments.errors[stream.section], kDeviceBadEscape);
      return 0;
    }
    const uint32_t in_place = largest_in_place(section.passes);
    const bool outlier = !group.last && magnitude > in_place;
    const uint32_t place = step * section.row + group.group * kWarpLanes + lane_index();
    arguments.outliers(section)[in_section] = {outlier ? place : kNone, group.scale_class};
    if (outlier) return (in_place + 1) | sign;
    return payload(CellOfClass(arguments, section, group.scale_class), group, magnitude, sign);
  }

  KVCAST_DEVICE void end_window(uint32_t count) {
    rans.words.end_window();
    out += size_t{count} * row;
  }

  KVCAST_DEVICE void close(const DecodeArguments& arguments) const {
    rans.close(arguments);
    if (rans.index == kNone || lane_index() != 0) return;
    const StreamTask& stream = rans.task(arguments);
    if (escapes_taken != stream.escapes)
      atomic_or(&arguments.errors[stream.section], kDeviceEscapeCount);
  }
};

template <bool kWhole, typename Table>
KVCAST_DEVICE void decode_window(const DecodeArguments& arguments, BaseStream<Table> (&streams)[2],
                                 uint32_t number, uint32_t first_step, uint32_t count) {
  streams[0].rans.words.fill();
  streams[1].rans.words.fill();
  uint32_t flags[2] = {0, 0};
  KVCAST_UNROLL
  for (uint32_t step = 0; step < kWindowSteps; ++step) {
    if (!kWhole && step >= count) break;
    flags[0] = append_top_bit(flags[0], streams[0].decode(step));
    flags[1] = append_top_bit(flags[1], streams[1].decode(step));
  }
  if (any((flags[0] | flags[1]) != 0)) {
    streams[0].place_escapes(arguments, number, first_step, flags[0], count);
    streams[1].place_escapes(arguments, number, first_step, flags[1], count);
  }
  streams[0].end_window(count);
  streams[1].end_window(count);
}

// All groups of two streams of as many steps.
template <typename Table>
KVCAST_DEVICE void decode_base_pair(const DecodeArguments& arguments, const PairTask& pair,
                                    BaseStream<Table> (&streams)[2], BaseStreamMemory* memory) {
  streams[0].open(arguments, pair.stream[0], memory[0]);
  streams[1].open(arguments, pair.stream[1], memory[1]);
  const uint32_t groups = groups_of_pair(arguments, streams[0].rans, streams[1].rans);
  const uint32_t steps = arguments.section(streams[0].rans.task(arguments).section).tokens;
  for (uint32_t number = 0; number < groups; ++number) {
    streams[0].begin_group(arguments, number);
    streams[1].begin_group(arguments, number);
    uint32_t step = 0;
    for (; step + kWindowSteps <= steps; step += kWindowSteps)
      decode_window<true>(arguments, streams, number, step, kWindowSteps);
    if (step < steps) decode_window<false>(arguments, streams, number, step, steps - step);
    streams[0].rans.end_group();
    streams[1].rans.end_group();
  }
  streams[0].close(arguments);
  streams[1].close(arguments);
  sync_warp();  // the memory may be another pair's now
}

}  // namespace
}  // namespace kvcast::kernels
