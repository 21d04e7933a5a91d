// Vector decoders of rANS streams: up to four independent streams in lock step, their tables in
// registers (alias slots need no gather). Same format, same results as kernels/entropy/rans.h.
//
// Plain structs and functions only: files compiled for one instruction set must not share inline
// functions with the others.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

inline constexpr uint32_t kMaxLockstep = 4;
inline constexpr size_t kReadAhead = 64;  // bytes that a kernel may read past the end of a stream

// Where the decoding of a stream of 32 lanes stands. kReadAhead bytes after `end` must be readable.
struct RansCursor {
  alignas(64) uint32_t states[32];
  const std::byte* next;  // word
  const std::byte* end;
};

// Alias tables in the layout of registers. Bucket = slot >> shift; a slot below divider[bucket] is
// the bucket's own symbol, at index bucket, others its alias, at index bucket + stride. Tables of
// up to 16 buckets have stride 16; the tables of a pass's three contexts are one of those, with
// bucket = 4 * context + (slot >> shift).
struct AliasRegisters {
  alignas(64) uint16_t divider[32];    // a slot
  alignas(64) uint16_t frequency[64];  // [index]
  alignas(64) uint16_t bias[64];       // rank - slot, mod 2^16
  uint8_t symbol[64];
  uint32_t shift;
  uint32_t stride;  // 16 or 32
};

// One stream of a call and where its symbols go.
struct SymbolJob {
  RansCursor* cursor;
  uint16_t* out;      // [steps] rows of 32, `row` elements apart
  uint32_t* escapes;  // [steps]: bit l is set where lane l's value is `escape`
};

struct RefineJob {
  RansCursor* cursor;
  int16_t* values;  // [steps][32], refined in place
};

struct RansKernels {
  // 1 to kMaxLockstep streams that share a table; what symbol index i decodes to is value[i].
  // False: the words of some stream ran out (its cursor is past its end), outputs are unspecified.
  bool (*decode_symbols)(const AliasRegisters& table, const uint16_t value[64], uint16_t escape,
                         const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row);
  // One pass over values whose magnitudes stay below 2^15. False: as above.
  bool (*refine_values)(const AliasRegisters& table, const RefineJob* jobs, uint32_t streams,
                        uint32_t steps);
};

namespace avx512 {
bool decode_symbols(const AliasRegisters& table, const uint16_t value[64], uint16_t escape,
                    const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row);
bool refine_values(const AliasRegisters& table, const RefineJob* jobs, uint32_t streams,
                   uint32_t steps);
}  // namespace avx512

namespace avx2 {
bool decode_symbols(const AliasRegisters& table, const uint16_t value[64], uint16_t escape,
                    const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row);
bool refine_values(const AliasRegisters& table, const RefineJob* jobs, uint32_t streams,
                   uint32_t steps);
}  // namespace avx2

}  // namespace kvcast::kernels
