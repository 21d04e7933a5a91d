// A DecodePlan as kernels read it: lists of tasks in one block of descriptors. Offsets are bytes
// from the beginning of the block of memory that is named with them. Plain numbers only.
#pragma once

#include <cstdint>

namespace kvcast::kernels {

inline constexpr uint32_t kNone = 0xFFFFFFFF;

struct LayerTask {
  uint64_t data;        // device address of the layer
  uint64_t rope_table;  // scratch: float[coded token][pair][2]
  uint32_t rope;        // of the profile, or kNone
  uint32_t unused;
};

struct DecodeSection {
  uint64_t image;         // profile: SectionImage
  uint64_t coefficients;  // scratch: u16[tokens][row]. Values until their last part is decoded, in
                          // sign and magnitude; then bf16
  uint64_t escapes;       // planes
  uint64_t outliers;      // scratch: OutlierRecord[escape_count]
  uint64_t sinks;         // planes
  uint64_t layers;        // descriptors: LayerTask[]
  uint64_t block_table;   // descriptors: i32[]
  uint64_t block_bytes, token_bytes, head_bytes;
  uint32_t block_tokens;
  uint32_t first_slot;  // of the chunk's first token
  uint32_t sink_tokens;
  uint32_t tokens;  // coded
  uint32_t row;     // coefficients of a token
  uint32_t passes, dropped_bits;
  uint32_t escape_bytes, escape_count, largest_escape;
  uint32_t aligned;  // the destination's rows may be written 16 bytes at a time
  uint32_t unused;
};

// Magnitudes up to this stay in the coefficients' place; a larger one is recorded, and one more
// than this stands in for it and collects its bits.
constexpr uint32_t largest_in_place(uint32_t passes) {
  return (0x7FFFu >> passes) - 1;
}

struct OutlierRecord {
  uint32_t index;  // in the section's coefficients; kNone: not an outlier
  uint32_t scale_class;
};

struct StreamTask {
  uint64_t offset;  // planes
  uint32_t bytes, lanes, groups;
  uint32_t first_group;  // GroupTask
  uint32_t section;
  uint32_t pass;                   // refinement
  uint32_t escapes, first_escape;  // base
};

struct GroupTask {
  uint32_t group;  // channel group
  uint16_t lanes;
  uint8_t scale_class;
  uint8_t first, last;    // part of the group that is not empty
  uint8_t before, after;  // empty passes since the part before, and after the last
  uint8_t unused;
};

// Two streams of as many steps, for one warp; the second may be kNone.
struct PairTask {
  uint32_t stream[2];
};
// Pairs whose groups are all of one class, for one block.
struct TeamTask {
  uint32_t scale_class, first_pair, pairs, unused;
};

struct EmptyTask {
  uint32_t section, group, lanes, unused;
};

struct RopeTask {
  uint64_t first_position;
  uint64_t table;  // scratch
  uint32_t rope, tokens;
};

// Tiles [first_tile, ...) of one block of a section's transform, or of a section without one:
// tiles_across to a run of tokens, the next run after them.
struct FinishTask {
  uint32_t section, block;
  uint32_t first_tile, tiles_across;
  uint32_t whole_heads;  // tiles end where heads do
};

template <typename T>
struct TaskList {
  uint64_t offset;  // descriptors
  uint32_t count;
  uint32_t tiles;  // FinishTask: of all
};

struct DecodeTasks {
  TaskList<DecodeSection> sections;
  TaskList<StreamTask> streams;
  TaskList<GroupTask> groups;
  TaskList<PairTask> team_pairs, base_pairs, pass_pairs[8];
  TaskList<TeamTask> teams;
  TaskList<EmptyTask> empty_groups;
  TaskList<uint32_t> outlier_sections, sink_sections;
  TaskList<RopeTask> ropes;
  TaskList<FinishTask> rows, tiles, elements;
};
static_assert(sizeof(LayerTask) == 24 && sizeof(DecodeSection) == 128 && sizeof(StreamTask) == 40 &&
              sizeof(GroupTask) == 12 && sizeof(RopeTask) == 24);

}  // namespace kvcast::kernels
