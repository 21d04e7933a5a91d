// Vector decoders of rANS streams: several independent streams in lock step, or a channel group's
// base and passes, one stream each, with a group's values kept in registers between them. Tables
// lie in registers or in the nearest cache (alias slots need no gather). Same format, same results
// as kernels/entropy/rans.h.
//
// Plain structs and functions only: files compiled for one instruction set must not share inline
// functions with the others.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

inline constexpr uint32_t kMaxDecodeStreams = 6;  // of decode_symbols and refine_values
inline constexpr uint32_t kMaxFusedGroups = 2;    // of decode_groups
inline constexpr uint32_t kMaxFusedPasses = 3;
inline constexpr size_t kReadAhead = 64;  // bytes that a kernel may read past the end of a stream

// Where the decoding of a stream of 32 lanes stands. kReadAhead bytes after `end` must be readable.
struct RansCursor {
  alignas(64) uint32_t states[32];
  const std::byte* next;  // word
  const std::byte* end;
};

// Alias tables in the layout of registers. Bucket = slot >> shift; a slot below divider[bucket] is
// the bucket's own symbol, at index bucket, others its alias, at index bucket + stride. A bucket
// without alias slots holds its own symbol on both sides. Base tables have 16 or 32 buckets (four
// large ones are cut into 16) and stride 32. The tables of a pass's three contexts are one of
// stride 16, with bucket = 4 * context + (slot >> shift).
struct AliasRegisters {
  alignas(64) uint16_t divider[32];    // a slot
  alignas(64) uint16_t frequency[64];  // [index]
  alignas(64) uint16_t bias[64];       // rank - slot, mod 2^16
  alignas(64) uint8_t symbol[64];
  alignas(32) uint8_t alias_bucket[32];  // one that has the bucket's alias as its own symbol
  uint32_t shift;
  bool wide;  // 32 buckets
};

// What symbols decode to, by index. An escape decodes to kEscapedValue (decode_symbols) or
// kFusedEscape (decode_groups), no other symbol does.
struct SymbolValues {
  alignas(64) uint16_t value[64];
};
inline constexpr uint16_t kEscapedValue = 0x7FFF;  // as a signed number, the largest

// Values that take the places of escapes, in order.
struct EscapedValues {
  const uint16_t* next;
  const uint16_t* end;
};

// Jobs of fewer than 32 lanes are alone in their call; the states of absent lanes stay as they are.

// One stream of a call and where its values go.
struct SymbolJob {
  RansCursor* cursor;
  const AliasRegisters* table;
  const SymbolValues* values;
  EscapedValues* escaped;
  uint16_t* out;  // [steps] rows of `lanes`, `row` elements apart
  uint32_t lanes;
};

// One stream of a pass over values in memory.
struct RefineJob {
  RansCursor* cursor;
  const AliasRegisters* table;
  int16_t* values;  // [steps][32], refined in place
  uint32_t lanes;
};

// A signed value of a fused group: bit 15 the sign, the others the magnitude, at most 15 before the
// passes.
inline constexpr uint16_t kFusedSign = 0x8000;
inline constexpr uint16_t kFusedEscape = 0x8000;  // minus zero
inline constexpr int32_t kMaxFusedValue = 15;
inline constexpr uint32_t kFusedMagnitudes = (kMaxFusedValue + 1) << kMaxFusedPasses;

// bf16 bits of each magnitude after the passes, as is and as bytes.
struct FusedCoefficients {
  alignas(64) uint16_t bf16[kFusedMagnitudes];
  alignas(64) uint8_t low[kFusedMagnitudes];
  alignas(64) uint8_t high[kFusedMagnitudes];
};

// A channel group.
struct GroupJob {
  RansCursor* cursor[1 + kMaxFusedPasses];  // of the base, then of each pass
  const AliasRegisters* table[1 + kMaxFusedPasses];
  const SymbolValues* values;  // of the base
  EscapedValues* escaped;
  const FusedCoefficients* coefficients;
  uint16_t* out;      // [steps] rows of `lanes`, `row` elements apart: coefficients
  uint8_t* refined;   // nullptr, or [steps][32]: bit 7 the sign, the others the magnitude
  uint32_t* escapes;  // nullptr, or [steps]: bit l is set where lane l escaped
  uint32_t lanes;
};

// All answer false where the words of some stream ran out (its cursor is past its end) or escaped
// values did (next > end); outputs are then unspecified.
struct RansKernels {
  // 1 to kMaxDecodeStreams streams.
  bool (*decode_symbols)(const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row);
  // One pass over values whose magnitudes stay below 2^15; 1 to kMaxDecodeStreams streams.
  bool (*refine_values)(const RefineJob* jobs, uint32_t streams, uint32_t steps);
  // The base and 1 to kMaxFusedPasses passes of 1 to kMaxFusedGroups groups.
  bool (*decode_groups)(const GroupJob* jobs, uint32_t groups, uint32_t passes, uint32_t steps,
                        size_t row);
};

namespace avx512 {
bool decode_symbols(const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row);
bool refine_values(const RefineJob* jobs, uint32_t streams, uint32_t steps);
bool decode_groups(const GroupJob* jobs, uint32_t groups, uint32_t passes, uint32_t steps,
                   size_t row);
}  // namespace avx512

namespace avx2 {
bool decode_symbols(const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row);
bool refine_values(const RefineJob* jobs, uint32_t streams, uint32_t steps);
bool decode_groups(const GroupJob* jobs, uint32_t groups, uint32_t passes, uint32_t steps,
                   size_t row);
}  // namespace avx2

}  // namespace kvcast::kernels
