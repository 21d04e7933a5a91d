#include <immintrin.h>

#include "kernels/quantise/quantising_loops.h"

namespace kvcast::kernels::avx2 {
namespace {

// Up to four bytes at a time, first + 0 to first + kNumber - 1, among 32 * blocks of them.
template <int kNumber>
void count_some_bytes(const uint8_t* bytes, size_t blocks, uint8_t first, uint32_t* counts) {
  __m256i byte[kNumber];
  for (int n = 0; n < kNumber; ++n) byte[n] = _mm256_set1_epi8(static_cast<char>(first + n));
  for (size_t block = 0; block < blocks; ++block) {
    const __m256i of = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes) + block);
#pragma GCC unroll 4
    for (int n = 0; n < kNumber; ++n) {
      const auto equal =
          static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(of, byte[n])));
      counts[n] += static_cast<uint32_t>(_mm_popcnt_u32(equal));
    }
  }
}

// Few values: comparing with each is faster than counting one by one.
void count_by_comparing(const uint8_t* bytes, size_t count, uint8_t first, uint32_t number,
                        uint32_t* counts) {
  constexpr uint32_t kFew = 16;
  if (number > kFew) return count_bytes(bytes, count, first, number, counts);
  uint32_t n = 0;
  for (; n + 4 <= number; n += 4)
    count_some_bytes<4>(bytes, count / 32, static_cast<uint8_t>(first + n), counts + n);
  for (; n < number; ++n)
    count_some_bytes<1>(bytes, count / 32, static_cast<uint8_t>(first + n), counts + n);
  count_bytes(bytes + count / 32 * 32, count % 32, first, number, counts);
}

}  // namespace

constexpr QuantisingKernels kQuantisingKernels{load_bf16_rows,     quantise,     base_values,
                                               base_symbols,       base_escapes, pass_symbols,
                                               count_by_comparing, energy,       squared_error};

}  // namespace kvcast::kernels::avx2
