#include "kernels/entropy/rans_stream_avx2.h"

namespace kvcast::kernels::avx2 {
namespace {

// A signed value as a byte: bit 7 the sign, the others the magnitude.
constexpr uint8_t to_byte(uint16_t value) {
  return static_cast<uint8_t>((value >> 8 & 0x80) | (value & 0x7F));
}

[[gnu::noinline]] __m256i place_escapes(__m256i values, uint32_t lanes, EscapedValues& escaped) {
  alignas(32) uint8_t bytes[32];
  _mm256_store_si256(reinterpret_cast<__m256i*>(bytes), reorder(values));
  for (; lanes != 0; lanes &= lanes - 1) {
    if (escaped.next < escaped.end) bytes[__builtin_ctz(lanes)] = to_byte(*escaped.next);
    ++escaped.next;
  }
  return reorder(_mm256_load_si256(reinterpret_cast<const __m256i*>(bytes)));
}

template <bool kWide>
struct Base {
  Stream stream;
  BaseTables<kWide> tables;
  ByteTable<kWide> values;

  explicit Base(const GroupJob& job) : tables(*job.table[0]) {
    alignas(32) uint8_t bytes[32];
    for (int i = 0; i < 32; ++i) bytes[i] = to_byte(job.values->value[i]);
    for (int i = 0; i < (kWide ? 2 : 1); ++i) values.part[i] = load_bytes(bytes + 16 * i);
    stream.open(*job.cursor[0]);
  }

  template <bool kAll>
  [[gnu::always_inline]] __m256i step(const GroupJob& job, const LaneMask<kAll>& lanes,
                                      uint32_t step, bool& enough) {
    const __m256i value = values.at(Index<kWide>(decode_base(stream, lanes, tables)));
    const __m256i is_escape =
        _mm256_cmpeq_epi8(value, _mm256_set1_epi8(static_cast<int8_t>(to_byte(kFusedEscape))));
    enough &= stream.next <= job.cursor[0]->end;
    if (job.escapes) job.escapes[step] = lanes.of(lane_mask(is_escape));
    if (_mm256_movemask_epi8(is_escape) == 0) [[likely]]
      return value;
    const __m256i placed = place_escapes(value, lanes.of(lane_mask(is_escape)), *job.escaped);
    enough &= job.escaped->next <= job.escaped->end;
    return placed;
  }
};

struct Pass {
  Stream stream;
  PassTables tables;

  Pass(const AliasRegisters& table, const RansCursor& cursor) : tables(table, 0x81) {
    stream.open(cursor);
  }

  // Magnitudes are below 64.
  template <bool kAll>
  [[gnu::always_inline]] __m256i step(__m256i before, const LaneMask<kAll>& lanes,
                                      const RansCursor& cursor, bool& enough) {
    const __m256i doubled = _mm256_add_epi8(before, before);  // of the magnitude
    const __m256i context = _mm256_min_epu8(_mm256_add_epi8(doubled, doubled), _mm256_set1_epi8(8));
    const __m256i change = decode_change(stream, lanes, tables, context);
    enough &= stream.next <= cursor.end;
    const __m256i sign = _mm256_and_si256(before, _mm256_set1_epi8(static_cast<int8_t>(0x80)));
    return _mm256_add_epi8(_mm256_or_si256(doubled, sign), change);
  }
};

// kBlocks * 16 magnitudes.
template <int kBlocks>
[[gnu::always_inline]] inline Lanes coefficients(const FusedCoefficients& of, __m256i values) {
  const __m256i magnitude = _mm256_and_si256(values, _mm256_set1_epi8(0x7F));
  __m256i low = _mm256_setzero_si256();
  __m256i high = _mm256_and_si256(values, _mm256_set1_epi8(static_cast<int8_t>(0x80)));
#pragma GCC unroll 8
  for (int block = 0; block < kBlocks; ++block) {
    // Magnitudes of other blocks get their top bit set and select nothing.
    const __m256i index = _mm256_adds_epu8(
        _mm256_xor_si256(magnitude, _mm256_set1_epi8(static_cast<int8_t>(16 * block))),
        _mm256_set1_epi8(0x70));
    low = _mm256_or_si256(low, _mm256_shuffle_epi8(load_bytes(of.low + 16 * block), index));
    high = _mm256_or_si256(high, _mm256_shuffle_epi8(load_bytes(of.high + 16 * block), index));
  }
  return unpack(low, high);
}

// The base and passes of a group. Pass p works p steps behind the base, so that what one iteration
// does to each stream is independent of the others.
template <bool kWide, int kPasses, bool kAll>
struct Group {
  const GroupJob& job;
  size_t row;
  LaneMask<kAll> lanes;
  Base<kWide> base;
  Pass passes[kPasses];
  __m256i values[1 + kPasses];  // after that many passes
  bool enough = true;

  [[gnu::always_inline]] void do_base(uint32_t step) {
    values[0] = base.step(job, lanes, step, enough);
  }
  [[gnu::always_inline]] void do_pass(int p) {
    values[p] = passes[p - 1].step(values[p - 1], lanes, *job.cursor[p], enough);
  }
  [[gnu::always_inline]] void write(uint32_t step) const {
    const __m256i value = values[kPasses];
    lanes.store(job.out + step * row, coefficients<1 << kPasses>(*job.coefficients, value));
    if (job.refined) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(job.refined + size_t{step} * 32),
                          reorder(value));
    }
  }

  // One of the first or last iterations of `steps`: not every part has a step to do.
  void at_an_end(uint32_t at, uint32_t steps) {
    for (int p = kPasses; p >= 1; --p) {
      const auto behind = static_cast<uint32_t>(p);
      if (at >= behind && at - behind < steps) do_pass(p);
    }
    if (at < steps) do_base(at);
    if (at >= kPasses) write(at - kPasses);
  }

  bool run(uint32_t steps) {
    uint32_t at = 0;
    for (; at < kPasses && enough; ++at) at_an_end(at, steps);
    for (; at < steps && enough; ++at) {
#pragma GCC unroll 3
      for (int p = kPasses; p >= 1; --p) do_pass(p);
      do_base(at);
      write(at - kPasses);
    }
    for (; at < steps + kPasses && enough; ++at) at_an_end(at, steps);
    base.stream.close(lanes.count, *job.cursor[0]);
    for (int p = 0; p < kPasses; ++p) passes[p].stream.close(lanes.count, *job.cursor[1 + p]);
    return enough;
  }
};

template <bool kWide, bool kAll>
bool decode_group(const GroupJob& job, uint32_t passes, uint32_t steps, size_t row) {
  const LaneMask<kAll> lanes(job.lanes);
  const Base<kWide> base(job);
  const auto pass = [&](int p) { return Pass(*job.table[p], *job.cursor[p]); };
  if (passes == 1) {
    return Group<kWide, 1, kAll>{job, row, lanes, base, {pass(1)}, {}}.run(steps);
  }
  if (passes == 2) {
    return Group<kWide, 2, kAll>{job, row, lanes, base, {pass(1), pass(2)}, {}}.run(steps);
  }
  return Group<kWide, 3, kAll>{job, row, lanes, base, {pass(1), pass(2), pass(3)}, {}}.run(steps);
}

}  // namespace

// The parts of one group already keep all units busy.
bool decode_groups(const GroupJob* jobs, uint32_t groups, uint32_t passes, uint32_t steps,
                   size_t row) {
  bool enough = true;
  for (uint32_t g = 0; g < groups; ++g) {
    const bool wide = jobs[g].table[0]->wide, all = jobs[g].lanes == 32;
    const auto decode = wide ? (all ? decode_group<true, true> : decode_group<true, false>)
                             : (all ? decode_group<false, true> : decode_group<false, false>);
    enough &= decode(jobs[g], passes, steps, row);
  }
  return enough;
}

}  // namespace kvcast::kernels::avx2
