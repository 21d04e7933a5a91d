#include "kernels/entropy/rans_stream_avx512.h"

namespace kvcast::kernels::avx512 {
namespace {

// The tables of some streams, and how to find a symbol of each.
template <int kStreams, bool kWide>
struct BaseTables {
  Table32 table[kStreams];

  explicit BaseTables(const SymbolJob* jobs) {
    for (int s = 0; s < kStreams; ++s) table[s] = base_table(*jobs[s].table, *jobs[s].values);
  }
  [[gnu::always_inline]] void look_up(__m512i (&slot)[kStreams], __m512i (&frequency)[kStreams],
                                      __m512i (&value)[kStreams]) const {
    __m512i bucket[kStreams];
#pragma GCC unroll 8
    for (int s = 0; s < kStreams; ++s) bucket[s] = _mm512_srli_epi16(slot[s], 8);
    avx512::look_up<0, kStreams>(table, bucket, slot, frequency, value);
  }
};

template <int kStreams>
struct BaseTables<kStreams, true> {
  Table64 table[kStreams];

  explicit BaseTables(const SymbolJob* jobs) {
    for (int s = 0; s < kStreams; ++s) table[s] = wide_base_table(*jobs[s].table, *jobs[s].values);
  }
  [[gnu::always_inline]] void look_up(__m512i (&slot)[kStreams], __m512i (&frequency)[kStreams],
                                      __m512i (&value)[kStreams]) const {
    avx512::look_up<0, kStreams>(table, slot, frequency, value);
  }
};

// Values of one step that are already written.
template <int kStreams, bool kAll>
[[gnu::noinline]] bool take_escapes(const SymbolJob* jobs, LaneMask<kAll> lanes, size_t at) {
  bool enough = true;
  const __m512i escape = _mm512_set1_epi16(static_cast<int16_t>(kEscapedValue));
  for (int s = 0; s < kStreams; ++s) {
    uint16_t* const row = jobs[s].out + at;
    const __m512i value = _mm512_maskz_loadu_epi16(lanes.mask, row);
    const __mmask32 escapes = lanes.of(_mm512_cmpeq_epi16_mask(value, escape));
    lanes.store(row, place_escapes(value, escapes, *jobs[s].escaped));
    enough &= jobs[s].escaped->next <= jobs[s].escaped->end;
  }
  return enough;
}

template <int kStreams, bool kWide, bool kAll>
bool decode_run(const SymbolJob* jobs, uint32_t steps, size_t row) {
  const LaneMask<kAll> lanes(jobs[0].lanes);
  const BaseTables<kStreams, kWide> tables(jobs);
  Streams<kStreams> streams;
  for (int s = 0; s < kStreams; ++s) streams.open(s, *jobs[s].cursor);
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
    __m512i slot[kStreams], frequency[kStreams], value[kStreams];
    streams.slots(slot);
    tables.look_up(slot, frequency, value);
    __m512i largest = value[0];
#pragma GCC unroll 8
    for (int s = 0; s < kStreams; ++s) {
      lanes.store(jobs[s].out + step * row, value[s]);
      largest = _mm512_max_epi16(largest, value[s]);
    }
    const __m512i escape = _mm512_set1_epi16(static_cast<int16_t>(kEscapedValue));
    if (lanes.of(_mm512_cmpeq_epi16_mask(largest, escape)) != 0) [[unlikely]]
      enough = take_escapes<kStreams>(jobs, lanes, step * row);
    streams.advance(lanes, frequency, slot);
#pragma GCC unroll 8
    for (int s = 0; s < kStreams; ++s) enough &= streams.next[s] <= jobs[s].cursor->end;
  }
  for (int s = 0; s < kStreams; ++s) streams.close(s, lanes, *jobs[s].cursor);
  return enough;
}

template <int kStreams, bool kAll = true>
bool decode_run(const SymbolJob* jobs, uint32_t steps, size_t row) {
  bool wide = false;
  for (int s = 0; s < kStreams; ++s) wide |= jobs[s].table->wide;
  return wide ? decode_run<kStreams, true, kAll>(jobs, steps, row)
              : decode_run<kStreams, false, kAll>(jobs, steps, row);
}

template <int kStreams, bool kAll = true>
bool refine_run(const RefineJob* jobs, uint32_t steps) {
  const LaneMask<kAll> lanes(jobs[0].lanes);
  Streams<kStreams> streams;
  Table32 tables[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    streams.open(s, *jobs[s].cursor);
    tables[s] = pass_table(*jobs[s].table, 0xFFFF);
  }
  const __m512i two = _mm512_set1_epi16(2);
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
    __m512i slot[kStreams], bucket[kStreams], frequency[kStreams], bit[kStreams];
    const auto at = [&](int s) { return jobs[s].values + size_t{step} * 32; };
    streams.slots(slot);
#pragma GCC unroll 8
    for (int s = 0; s < kStreams; ++s) {
      const __m512i magnitude = _mm512_abs_epi16(_mm512_loadu_si512(at(s)));
      const __m512i context = _mm512_slli_epi16(_mm512_min_epu16(magnitude, two), 2);
      bucket[s] = _mm512_add_epi16(context, _mm512_srli_epi16(slot[s], 10));
    }
    look_up<0, kStreams>(tables, bucket, slot, frequency, bit);
#pragma GCC unroll 8
    for (int s = 0; s < kStreams; ++s) {
      const __m512i before = _mm512_loadu_si512(at(s));
      const __m512i doubled = _mm512_add_epi16(before, before);
      const __m512i after = _mm512_add_epi16(doubled, bit[s]);
      const __mmask32 negative = _mm512_movepi16_mask(before);
      _mm512_storeu_si512(at(s), _mm512_mask_sub_epi16(after, negative, doubled, bit[s]));
    }
    streams.advance(lanes, frequency, slot);
#pragma GCC unroll 8
    for (int s = 0; s < kStreams; ++s) enough &= streams.next[s] <= jobs[s].cursor->end;
  }
  for (int s = 0; s < kStreams; ++s) streams.close(s, lanes, *jobs[s].cursor);
  return enough;
}

}  // namespace

bool decode_symbols(const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row) {
  if (jobs[0].lanes < 32) return decode_run<1, false>(jobs, steps, row);
  switch (streams) {
    case 1:
      return decode_run<1>(jobs, steps, row);
    case 2:
      return decode_run<2>(jobs, steps, row);
    case 3:
      return decode_run<3>(jobs, steps, row);
    case 4:
      return decode_run<4>(jobs, steps, row);
    case 5:
      return decode_run<5>(jobs, steps, row);
    default:
      return decode_run<6>(jobs, steps, row);
  }
}

bool refine_values(const RefineJob* jobs, uint32_t streams, uint32_t steps) {
  if (jobs[0].lanes < 32) return refine_run<1, false>(jobs, steps);
  bool enough = true;
  for (; streams >= 4; streams -= 4, jobs += 4) enough &= refine_run<4>(jobs, steps);
  for (; streams >= 2; streams -= 2, jobs += 2) enough &= refine_run<2>(jobs, steps);
  if (streams == 1) enough &= refine_run<1>(jobs, steps);
  return enough;
}

}  // namespace kvcast::kernels::avx512
