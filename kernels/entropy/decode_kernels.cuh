// Kernels that decode entropy: sections' planes to coefficients.
#pragma once

#include "kernels/entropy/rans_base.cuh"
#include "kernels/entropy/rans_pass.cuh"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kDecodeWarps = 8;

// Clears the sections' error words.
struct ClearErrors {
  static constexpr uint32_t kThreads = 128, kBlocksPerSm = 8;
  static constexpr size_t kSharedBytes = 0;
  uint32_t* errors;
  uint32_t count;

  KVCAST_DEVICE void operator()() const {
    for (uint32_t i = block_index() * kThreads + thread_index(); i < count;
         i += block_count() * kThreads) {
      errors[i] = 0;
    }
  }
};

// Streams of one class: a block loads its table once for all its warps.
struct DecodeBaseTeams {
  struct Memory {
    uint32_t slots[kSlots];
    BaseStreamMemory streams[kDecodeWarps][2];
  };
  static constexpr uint32_t kThreads = kDecodeWarps * kWarpLanes, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = sizeof(Memory);
  DecodeArguments arguments;
  TaskList<TeamTask> teams;
  TaskList<PairTask> pairs;

  KVCAST_DEVICE void operator()() const {
    auto& memory = *reinterpret_cast<Memory*>(shared_memory());
    for (uint32_t t = block_index(); t < teams.count; t += block_count()) {
      const TeamTask& team = arguments.list(teams)[t];
      load_slots(team, memory.slots);
      for (uint32_t p = warp_index(); p < team.pairs; p += kDecodeWarps) {
        BaseStream<SlotTable> streams[2];
        streams[0].table.slots = streams[1].table.slots = memory.slots;
        decode_base_pair(arguments, arguments.list(pairs)[team.first_pair + p], streams,
                         memory.streams[warp_index()]);
      }
      sync_block();
    }
  }

  KVCAST_DEVICE void load_slots(const TeamTask& team, uint32_t* slots) const {
    const auto* const from =
        at<Bytes16>(arguments.profile, arguments.scale_class(team.scale_class).slots);
    auto* const to = reinterpret_cast<Bytes16*>(slots);
    for (uint32_t i = thread_index(); i < kSlots / 4; i += kThreads) to[i] = from[i];
    sync_block();
  }
};

// Any other streams.
struct DecodeBases {
  struct WarpMemory {
    BaseStreamMemory streams[2];
    uint32_t tables[2][sizeof(BaseAliasImage) / sizeof(uint32_t)];
  };
  static constexpr uint32_t kThreads = kDecodeWarps * kWarpLanes, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = kDecodeWarps * sizeof(WarpMemory);
  DecodeArguments arguments;
  TaskList<PairTask> pairs;

  KVCAST_DEVICE void operator()() const {
    auto& memory = reinterpret_cast<WarpMemory*>(shared_memory())[warp_index()];
    for (uint32_t p = block_index() * kDecodeWarps + warp_index(); p < pairs.count;
         p += block_count() * kDecodeWarps) {
      BaseStream<BucketTable> streams[2];
      streams[0].table.words = memory.tables[0];
      streams[1].table.words = memory.tables[1];
      decode_base_pair(arguments, arguments.list(pairs)[p], streams, memory.streams);
    }
  }
};

struct RefinePass {
  struct WarpMemory {
    PassStreamMemory streams[2];
  };
  static constexpr uint32_t kThreads = kDecodeWarps * kWarpLanes, kBlocksPerSm = 3;
  static constexpr size_t kSharedBytes = kDecodeWarps * sizeof(WarpMemory);
  DecodeArguments arguments;
  TaskList<PairTask> pairs;

  KVCAST_DEVICE void operator()() const {
    auto& memory = reinterpret_cast<WarpMemory*>(shared_memory())[warp_index()];
    for (uint32_t p = block_index() * kDecodeWarps + warp_index(); p < pairs.count;
         p += block_count() * kDecodeWarps) {
      refine_pair(arguments, arguments.list(pairs)[p], memory.streams);
    }
  }
};

// Channel groups that no part codes: a warp each.
struct ClearEmptyGroups {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 8;
  static constexpr size_t kSharedBytes = 0;
  DecodeArguments arguments;
  TaskList<EmptyTask> groups;

  KVCAST_DEVICE void operator()() const {
    constexpr uint32_t kWarps = kThreads / kWarpLanes;
    for (uint32_t i = block_index() * kWarps + warp_index(); i < groups.count;
         i += block_count() * kWarps) {
      const EmptyTask& task = arguments.list(groups)[i];
      const DecodeSection& section = arguments.section(task.section);
      uint16_t* out = arguments.coefficients(section) + task.group * kWarpLanes + lane_index();
      if (lane_index() >= task.lanes) continue;
      for (uint32_t step = 0; step < section.tokens; ++step, out += section.row) *out = 0;
    }
  }
};

// After the last pass: coefficients of the values that stand-ins were decoded for. A block for each
// section that has escapes.
struct PlaceOutliers {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 8;
  static constexpr size_t kSharedBytes = 0;
  DecodeArguments arguments;
  TaskList<uint32_t> outlier_sections;

  KVCAST_DEVICE void operator()() const {
    for (uint32_t i = block_index(); i < outlier_sections.count; i += block_count()) {
      const uint32_t index = arguments.list(outlier_sections)[i];
      const DecodeSection& section = arguments.section(index);
      if (arguments.errors[index] != 0) continue;  // not all records are there
      for (uint32_t e = thread_index(); e < section.escape_count; e += kThreads) place(section, e);
    }
  }

  KVCAST_DEVICE void place(const DecodeSection& section, uint32_t escape) const {
    const OutlierRecord record = arguments.outliers(section)[escape];
    if (record.index == kNone) return;
    const int32_t value = arguments.escaped_value(section, escape);
    const uint32_t magnitude =
        value < 0 ? 0u - static_cast<uint32_t>(value) : static_cast<uint32_t>(value);
    uint16_t& at_place = arguments.coefficients(section)[record.index];
    const uint32_t stand_in = (largest_in_place(section.passes) + 1) << section.passes;
    const uint32_t collected = (at_place & kMagnitudeOfValue) - stand_in;
    const CellOfClass cell(arguments, section, record.scale_class);
    at_place = static_cast<uint16_t>(
        cell.reconstruct((magnitude << section.passes) + collected, value < 0 ? kSignOfValue : 0));
  }
};

}  // namespace
}  // namespace kvcast::kernels
