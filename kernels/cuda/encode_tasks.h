// What the encoder's kernels read beside the decoder's image and tasks: tables of the profile,
// tasks of a DeviceEncoding, and what they report. Plain numbers only.
#pragma once

#include <cstdint>

#include "kernels/cuda/decode_tasks.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

inline constexpr uint32_t kParts = 1 + kMaxDropBits;  // the base, then passes

// One table of a base, or the three of a pass: an index is a symbol, or 4 * context + symbol.
struct EncodePartImage {
  uint64_t multiplier[kMaxAlphabet];  // EncodeTable::Symbol
  uint64_t slots;                     // u16[]: of index i's rank r at first[i] + r
  uint32_t frequency[kMaxAlphabet], first[kMaxAlphabet];
};
struct EncodeClassImage {
  EncodePartImage parts[kParts];
  float base_bits[kMaxAlphabet];        // AliasTable::bits()
  float pass_bits[kMaxDropBits][3][3];  // [pass][context][symbol]
  uint32_t alphabet, unused;
};
struct EncodeBlockImage {
  uint32_t first_channel, width, rank, unused;
  uint64_t basis;      // float[rank][width]: kernels/transform/analysis_basis.h
  uint64_t positions;  // u32[rank]: coded
};
static_assert(sizeof(EncodePartImage) == 520 && sizeof(EncodeBlockImage) == 32);

struct EncodeSection {
  DecodeSection place;  // the tensor; tokens, row, image as for decoding
  uint64_t channels;    // scratch: float[coded token][width], normalised; only with a transform
  uint64_t values;      // scratch: float[channel group][coded token][lane]
  uint64_t blocks;      // profile: EncodeBlockImage[]
  uint64_t sinks;       // output
  uint32_t block_count, levels;
  uint32_t passes;  // bits that the base drops
  uint32_t escape_bytes;
  uint32_t drop_bits[kMaxLevels];
};

// Bits of a section's error word.
enum EncodeError : uint32_t { kEncodeNotFinite = 1, kEncodeOverflow = 2 };

inline constexpr uint32_t kNoClass = 0xFF;

struct GroupReport {
  double bits[kParts];  // ClassChoice::parts
  double squared_error[kMaxLevels], energy;
  uint32_t escapes;
  uint16_t empty;       // bit part
  uint8_t scale_class;  // or kNoClass
  uint8_t wide;         // some base value needs a 4-byte escape
};
static_assert(sizeof(GroupReport) == 152);

struct EncodeGroupTask {
  uint32_t group, lanes, scale_class, unused;
};
struct EncodeStreamTask {
  uint64_t region;   // streams: 32 states, then room for words, which end with the room
  uint64_t escapes;  // streams: of the stream; base
  uint32_t escape_count;
  uint32_t capacity;  // words
  uint32_t section, part;
  uint32_t first_group, groups, lanes, unused;  // EncodeGroupTask
};
// At the beginning of the streams, one each.
struct StreamReport {
  uint32_t words;  // kNone: they did not fit
};

// Bytes to the output, an even number; then zeros.
struct CopyTask {
  uint64_t from, to;
  uint32_t bytes, zeros;
  uint32_t from_descriptors;  // or streams
  uint32_t unused;
};

struct EncodeTasks {
  uint64_t classes;  // profile: EncodeClassImage[]
  uint32_t class_count, report_count;
  uint64_t errors, reports;  // scratch: u32[section], GroupReport[groups]
  TaskList<EncodeSection> sections;
  TaskList<EmptyTask> groups;  // all channel groups
  TaskList<RopeTask> ropes;
  TaskList<FinishTask> channels;  // tiles of kElementTokens by kElementChannels
  TaskList<FinishTask> blocks;    // tiles of kForwardTokens by kForwardRows
  TaskList<EncodeStreamTask> streams;
  TaskList<EncodeGroupTask> stream_groups;
  TaskList<CopyTask> copies;
  TaskList<uint32_t> sink_sections;
};

inline constexpr uint32_t kForwardTokens = 64, kForwardRows = 64;

}  // namespace kvcast::kernels
