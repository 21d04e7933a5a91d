#include "kernels/entropy/rans_stream_avx2.h"

namespace kvcast::kernels::avx2 {
namespace {

// False: they ran out.
[[gnu::noinline]] bool place_escapes(uint32_t lanes, EscapedValues& escaped, uint16_t* values) {
  for (; lanes != 0; lanes &= lanes - 1) {
    if (escaped.next < escaped.end) values[__builtin_ctz(lanes)] = *escaped.next;
    ++escaped.next;
  }
  return escaped.next <= escaped.end;
}

// A stream of symbols, its tables ready.
template <bool kWide, bool kAll = true>
struct SymbolRun {
  Stream stream;
  LaneMask<kAll> lanes;
  BaseTables<kWide> tables;
  WordTable<kWide> values;
  __m256i escape_low, escape_high;

  explicit SymbolRun(const SymbolJob& job)
      : lanes(job.lanes),
        tables(*job.table),
        values(job.values->value),
        escape_low(_mm256_set1_epi8(static_cast<int8_t>(static_cast<uint8_t>(kEscapedValue)))),
        escape_high(_mm256_set1_epi8(static_cast<int8_t>(kEscapedValue >> 8))) {
    stream.open(*job.cursor);
  }

  [[gnu::always_inline]] bool step(const SymbolJob& job, uint16_t* out) {
    const Index<kWide> symbol(decode_base(stream, lanes, tables));
    const __m256i low = values.low.at(symbol), high = values.high.at(symbol);
    lanes.store(out, unpack(low, high));
    const __m256i escapes =
        _mm256_and_si256(_mm256_cmpeq_epi8(low, escape_low), _mm256_cmpeq_epi8(high, escape_high));
    const bool enough = stream.next <= job.cursor->end;
    if (_mm256_movemask_epi8(escapes) == 0) [[likely]]
      return enough;
    return place_escapes(lanes.of(lane_mask(escapes)), *job.escaped, out) && enough;
  }
};

template <bool kWide, bool kAll>
bool decode_one(const SymbolJob& job, uint32_t steps, size_t row) {
  SymbolRun<kWide, kAll> run(job);
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step)
    enough = run.step(job, job.out + step * row);
  run.stream.close(run.lanes.count, *job.cursor);
  return enough;
}

template <bool kFirstWide, bool kSecondWide>
bool decode_two(const SymbolJob* jobs, uint32_t steps, size_t row) {
  SymbolRun<kFirstWide> first(jobs[0]);
  SymbolRun<kSecondWide> second(jobs[1]);
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
    enough = first.step(jobs[0], jobs[0].out + step * row);
    enough &= second.step(jobs[1], jobs[1].out + step * row);
  }
  first.stream.close(first.lanes.count, *jobs[0].cursor);
  second.stream.close(second.lanes.count, *jobs[1].cursor);
  return enough;
}

// A pass over values in memory.
template <bool kAll = true>
struct RefineRun {
  Stream stream;
  LaneMask<kAll> lanes;
  PassTables tables;

  explicit RefineRun(const RefineJob& job) : lanes(job.lanes), tables(*job.table, 0xFF) {
    stream.open(*job.cursor);
  }

  [[gnu::always_inline]] bool step(const RefineJob& job, uint32_t step) {
    auto* const at = reinterpret_cast<__m256i*>(job.values + size_t{step} * 32);
    const __m256i before[2] = {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
    const __m256i magnitude =
        _mm256_packus_epi16(_mm256_min_epu16(_mm256_abs_epi16(before[0]), _mm256_set1_epi16(2)),
                            _mm256_min_epu16(_mm256_abs_epi16(before[1]), _mm256_set1_epi16(2)));
    const __m256i twice = _mm256_add_epi8(magnitude, magnitude);
    const __m256i change = decode_change(stream, lanes, tables, _mm256_add_epi8(twice, twice));
    const Lanes bit = unpack(change, _mm256_cmpgt_epi8(_mm256_setzero_si256(), change));
    for (int h = 0; h < 2; ++h) {
      const __m256i sign = _mm256_srai_epi16(before[h], 15);
      const __m256i signed_bit = _mm256_sub_epi16(_mm256_xor_si256(bit.half[h], sign), sign);
      _mm256_storeu_si256(at + h,
                          _mm256_add_epi16(_mm256_add_epi16(before[h], before[h]), signed_bit));
    }
    return stream.next <= job.cursor->end;
  }
};

template <bool kAll>
bool refine_one(const RefineJob& job, uint32_t steps) {
  RefineRun<kAll> run(job);
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) enough = run.step(job, step);
  run.stream.close(run.lanes.count, *job.cursor);
  return enough;
}

bool refine_two(const RefineJob* jobs, uint32_t steps) {
  RefineRun<> first(jobs[0]), second(jobs[1]);
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
    enough = first.step(jobs[0], step);
    enough &= second.step(jobs[1], step);
  }
  first.stream.close(first.lanes.count, *jobs[0].cursor);
  second.stream.close(second.lanes.count, *jobs[1].cursor);
  return enough;
}

}  // namespace

bool decode_symbols(const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row) {
  bool enough = true;
  for (; streams >= 2; streams -= 2, jobs += 2) {
    const bool first = jobs[0].table->wide, second = jobs[1].table->wide;
    const auto decode = first ? (second ? decode_two<true, true> : decode_two<true, false>)
                              : (second ? decode_two<false, true> : decode_two<false, false>);
    enough &= decode(jobs, steps, row);
  }
  if (streams == 1) {
    const bool wide = jobs->table->wide, all = jobs->lanes == 32;
    const auto decode = wide ? (all ? decode_one<true, true> : decode_one<true, false>)
                             : (all ? decode_one<false, true> : decode_one<false, false>);
    enough &= decode(*jobs, steps, row);
  }
  return enough;
}

bool refine_values(const RefineJob* jobs, uint32_t streams, uint32_t steps) {
  bool enough = true;
  for (; streams >= 2; streams -= 2, jobs += 2) enough &= refine_two(jobs, steps);
  if (streams == 1)
    enough &= (jobs->lanes == 32 ? refine_one<true> : refine_one<false>)(*jobs, steps);
  return enough;
}

}  // namespace kvcast::kernels::avx2
