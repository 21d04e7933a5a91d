// Encoding of streams on a device, a warp a stream, the last step first: the same bytes as
// kernels/entropy/rans_encode_scalar.cc. Symbols are made from values on the way.
#pragma once

#include "kernels/cuda/encode_arguments.cuh"
#include "kernels/entropy/rans_format.h"

namespace kvcast::kernels {
namespace {

// Symbol index of a finest value, and in a base the value that it escapes.
struct SymbolMaker {
  uint32_t part, passes;  // of the section
  int32_t largest;        // of the base's table

  KVCAST_DEVICE int32_t base_value(int32_t q) const {
    const auto magnitude = static_cast<int32_t>(magnitude_of(q) >> passes);
    return q < 0 ? -magnitude : magnitude;
  }
  KVCAST_DEVICE uint32_t index(int32_t q) const {
    if (part == 0) {
      const auto symbol = static_cast<uint32_t>(base_value(q) + largest);
      const auto escape = 2 * static_cast<uint32_t>(largest) + 1;
      return symbol < escape ? symbol : escape;
    }
    const uint32_t after = magnitude_of(q) >> (passes - part), before = after / 2, bit = after & 1;
    const uint32_t context = before < 2 ? before : 2;
    return 4 * context + bit + (before == 0 && q < 0 ? bit : 0);
  }
};

struct EncodeStreams {
  static constexpr uint32_t kWarps = 8;
  struct WarpMemory {
    EncodePartImage table;
  };
  static constexpr uint32_t kThreads = kWarps * kWarpLanes, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = kWarps * sizeof(WarpMemory);
  EncodeArguments arguments;

  // Of one lane, or of the warp's stream.
  struct State {
    uint32_t x = kStateLow;
    uint32_t words = 0;  // written, backwards from the region's end
    uint32_t escapes_left;
    bool fits = true;
  };

  KVCAST_DEVICE void operator()() const {
    auto& memory = reinterpret_cast<WarpMemory*>(shared_memory())[warp_index()];
    const TaskList<EncodeStreamTask>& streams = arguments.tasks.streams;
    for (uint32_t s = block_index() * kWarps + warp_index(); s < streams.count;
         s += block_count() * kWarps) {
      const EncodeStreamTask& stream = arguments.common.list(streams)[s];
      State state;
      state.escapes_left = stream.escape_count;
      for (uint32_t group = stream.groups; group-- > 0;)
        encode_group(stream, stream.first_group + group, memory, state);
      auto* const states = at<uint32_t>(arguments.streams, stream.region);
      if (lane_index() < stream.lanes) states[lane_index()] = state.x;
      if (lane_index() == 0) {
        at<StreamReport>(arguments.streams, 0)[s].words = state.fits ? state.words : kNone;
      }
    }
  }

  KVCAST_DEVICE void load_table(const EncodePartImage& from, EncodePartImage& to) const {
    sync_warp();  // every lane has read what is overwritten
    const auto* const words = reinterpret_cast<const uint32_t*>(&from);
    auto* const copy = reinterpret_cast<uint32_t*>(&to);
    for (uint32_t i = lane_index(); i < sizeof(EncodePartImage) / 4; i += kWarpLanes)
      copy[i] = words[i];
    sync_warp();
  }

  KVCAST_DEVICE void encode_group(const EncodeStreamTask& stream, uint32_t index,
                                  WarpMemory& memory, State& state) const {
    const EncodeSection& section = arguments.section(stream.section);
    const SectionImage& image = arguments.common.image(section.place);
    const EncodeGroupTask& group = arguments.common.list(arguments.tasks.stream_groups)[index];
    const EncodeClassImage& scale_class = arguments.scale_class(group.scale_class);
    load_table(scale_class.parts[stream.part], memory.table);
    const SymbolMaker maker{stream.part, section.passes,
                            static_cast<int32_t>(scale_class.alphabet / 2) - 1};
    const auto* const slots = at<uint16_t>(arguments.common.profile, memory.table.slots);
    const float* const values = arguments.values(section, group.group);
    const bool active = lane_index() < group.lanes;
    for (uint32_t step = section.place.tokens; step-- > 0;) {
      const float y = active ? values[size_t{step} * group.lanes + lane_index()] : 0.0f;
      const int32_t q = quantised(y, image.step, image.rounding);
      const uint32_t symbol = maker.index(q);
      const bool escapes = active && stream.part == 0 && symbol == scale_class.alphabet - 1;
      encode_symbol(stream, memory.table, slots, symbol, active, state);
      if (any(escapes)) place_escapes(stream, section, escapes, maker.base_value(q), state);
    }
  }

  KVCAST_DEVICE void encode_symbol(const EncodeStreamTask& stream, const EncodePartImage& table,
                                   const uint16_t* slots, uint32_t symbol, bool active,
                                   State& state) const {
    const uint32_t frequency = table.frequency[symbol];
    const bool emits = active && state.x >> 20 >= frequency;
    const uint32_t emitting = ballot(emits);
    const uint32_t count = count_ones(emitting);
    state.fits = state.fits && count <= stream.capacity - state.words;
    if (state.fits) {
      auto* const end = at<uint16_t>(arguments.streams, stream.region + kWarpLanes * kStateBytes) +
                        stream.capacity;
      if (emits) {
        end[static_cast<ptrdiff_t>(count_ones(emitting & lanes_below())) -
            static_cast<ptrdiff_t>(state.words + count)] = static_cast<uint16_t>(state.x);
      }
      state.words += count;
    }
    if (!active) return;
    const uint32_t rest = emits ? state.x >> kWordBits : state.x;
    const auto quotient = static_cast<uint32_t>(rest * table.multiplier[symbol] >> 44);
    const uint32_t rank = rest - quotient * frequency;
    state.x = (quotient << kProbabilityBits) + slots[table.first[symbol] + rank];
  }

  KVCAST_DEVICE void place_escapes(const EncodeStreamTask& stream, const EncodeSection& section,
                                   bool escapes, int32_t value, State& state) const {
    const uint32_t escaping = ballot(escapes);
    const uint32_t count = count_ones(escaping);
    if (count > state.escapes_left) {
      state.fits = false;  // cannot be: the report counted them
      return;
    }
    state.escapes_left -= count;
    if (!escapes) return;
    const uint32_t index = state.escapes_left + count_ones(escaping & lanes_below());
    if (section.escape_bytes == 2) {
      at<int16_t>(arguments.streams, stream.escapes)[index] = static_cast<int16_t>(value);
    } else {
      at<int32_t>(arguments.streams, stream.escapes)[index] = value;
    }
  }
};

}  // namespace
}  // namespace kvcast::kernels
