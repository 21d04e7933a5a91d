#include "kernels/entropy/rans_stream_avx512.h"

namespace kvcast::kernels::avx512 {
namespace {

// The bases and passes of some groups, each a stream: first the bases of all groups, then their
// first passes, and so on. Pass p works p steps behind the base, so that what one iteration does
// to each stream is independent of the others.
template <int kGroups, int kPasses, bool kWide, bool kAll>
struct Groups {
  static constexpr int kStreams = kGroups * (1 + kPasses);

  const GroupJob* jobs;
  size_t row;
  LaneMask<kAll> lanes;
  Streams<kStreams> streams;
  Table32 tables[kStreams];
  Table64 wide[kGroups];     // of bases
  __m512i values[kStreams];  // after the base or pass

  [[gnu::always_inline]] Groups(const GroupJob* of, size_t coefficients_in_row)
      : jobs(of), row(coefficients_in_row), lanes(of[0].lanes) {
    for (int s = 0; s < kStreams; ++s) {
      const AliasRegisters& table = *job(s).table[part(s)];
      streams.open(s, *job(s).cursor[part(s)]);
      if (part(s) > 0) {
        tables[s] = pass_table(table, kFusedSign | 1);
      } else if constexpr (kWide) {
        wide[s] = wide_base_table(table, *job(s).values);
      } else {
        tables[s] = base_table(table, *job(s).values);
      }
    }
  }

  static constexpr int part(int s) { return s / kGroups; }
  [[gnu::always_inline]] const GroupJob& job(int s) const { return jobs[s % kGroups]; }

  // A step of streams [kFirst, kEnd), each its own: a base's is `step`.
  template <int kFirst = 0, int kEnd = kStreams>
  [[gnu::always_inline]] bool advance(uint32_t step) {
    constexpr int kBases = kEnd < kGroups ? kEnd : kGroups;
    constexpr int kNarrow = kWide && kFirst < kBases ? kBases : kFirst;
    __m512i slot[kStreams], bucket[kStreams], frequency[kStreams], found[kStreams];
    streams.template slots<kFirst, kEnd>(slot);
#pragma GCC unroll 8
    for (int s = kNarrow; s < kEnd; ++s) {
      if (part(s) == 0) {
        bucket[s] = _mm512_srli_epi16(slot[s], 8);
      } else {
        const __m512i context =
            _mm512_min_epu16(_mm512_slli_epi16(values[s - kGroups], 2), _mm512_set1_epi16(8));
        bucket[s] = _mm512_add_epi16(context, _mm512_srli_epi16(slot[s], 10));
      }
    }
    if constexpr (kNarrow > kFirst) look_up<kFirst, kNarrow>(wide, slot, frequency, found);
    look_up<kNarrow, kEnd>(tables, bucket, slot, frequency, found);
    streams.template advance<kFirst, kEnd>(lanes, frequency, slot);
    bool enough = true;
#pragma GCC unroll 8
    for (int s = kEnd - 1; s >= kFirst; --s) {
      if (part(s) > 0) {
        const __m512i before = values[s - kGroups];
        const __m512i magnitude = _mm512_and_si512(before, _mm512_set1_epi16(0x7FFF));
        values[s] = _mm512_add_epi16(_mm512_add_epi16(before, magnitude), found[s]);
      } else {
        enough &= take_base(s, step, found[s]);
      }
      enough &= streams.next[s] <= job(s).cursor[part(s)]->end;
    }
    return enough;
  }

  [[gnu::always_inline]] bool take_base(int g, uint32_t step, __m512i value) {
    const GroupJob& job = jobs[g];
    const __mmask32 escapes = lanes.of(
        _mm512_cmpeq_epi16_mask(value, _mm512_set1_epi16(static_cast<int16_t>(kFusedEscape))));
    bool enough = true;
    if (escapes != 0) [[unlikely]] {
      value = place_escapes(value, escapes, *job.escaped);
      enough = job.escaped->next <= job.escaped->end;
    }
    if (job.escapes) job.escapes[step] = escapes;
    values[g] = value;
    return enough;
  }

  [[gnu::always_inline]] void write(uint32_t step) const {
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) write(jobs[g], step, values[kPasses * kGroups + g]);
  }

  [[gnu::always_inline]] void write(const GroupJob& job, uint32_t step, __m512i value) const {
    const uint16_t* const of = job.coefficients->bf16;
    const auto half = [&](int first) {
      return _mm512_permutex2var_epi16(_mm512_load_si512(of + first), value,
                                       _mm512_load_si512(of + first + 32));
    };
    const __mmask32 above = _mm512_test_epi16_mask(value, _mm512_set1_epi16(64));
    const __m512i positive = _mm512_mask_mov_epi16(half(0), above, half(64));
    const __m512i sign =
        _mm512_and_si512(value, _mm512_set1_epi16(static_cast<int16_t>(kFusedSign)));
    lanes.store(job.out + step * row, _mm512_or_si512(positive, sign));
    if (job.refined) {
      const __m512i byte = _mm512_or_si512(value, _mm512_srli_epi16(sign, 8));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(job.refined + size_t{step} * 32),
                          _mm512_cvtepi16_epi8(byte));
    }
  }

  // Iteration `at` of steps + kPasses, one of the first or last: not every stream has a step to do.
  template <int kStream = kStreams - 1>
  [[gnu::always_inline]] bool at_an_end(uint32_t at, uint32_t steps) {
    constexpr uint32_t kBehind = part(kStream);
    bool enough = true;
    if (at >= kBehind && at - kBehind < steps) enough = advance<kStream, kStream + 1>(at);
    if constexpr (kStream > 0) {
      enough &= at_an_end<kStream - 1>(at, steps);
    } else if (at >= kPasses) {
      write(at - kPasses);
    }
    return enough;
  }

  bool run(uint32_t steps) {
    bool enough = true;
    uint32_t at = 0;
    for (; at < kPasses && enough; ++at) enough = at_an_end(at, steps);
    for (; at < steps && enough; ++at) {
      enough = advance(at);
      write(at - kPasses);
    }
    for (; at < steps + kPasses && enough; ++at) enough = at_an_end(at, steps);
    for (int s = 0; s < kStreams; ++s) streams.close(s, lanes, *job(s).cursor[part(s)]);
    return enough;
  }
};
static_assert(kFusedMagnitudes == 128);

template <int kGroups, int kPasses, bool kAll>
bool decode_groups_run(const GroupJob* jobs, uint32_t steps, size_t row) {
  bool wide = false;
  for (int g = 0; g < kGroups; ++g) wide |= jobs[g].table[0]->wide;
  return wide ? Groups<kGroups, kPasses, true, kAll>(jobs, row).run(steps)
              : Groups<kGroups, kPasses, false, kAll>(jobs, row).run(steps);
}

template <int kGroups, bool kAll>
bool decode_groups_run(const GroupJob* jobs, uint32_t passes, uint32_t steps, size_t row) {
  if (passes == 1) return decode_groups_run<kGroups, 1, kAll>(jobs, steps, row);
  if (passes == 2) return decode_groups_run<kGroups, 2, kAll>(jobs, steps, row);
  return decode_groups_run<kGroups, 3, kAll>(jobs, steps, row);
}

}  // namespace

bool decode_groups(const GroupJob* jobs, uint32_t groups, uint32_t passes, uint32_t steps,
                   size_t row) {
  if (jobs[0].lanes < 32) return decode_groups_run<1, false>(jobs, passes, steps, row);
  return groups == 1 ? decode_groups_run<1, true>(jobs, passes, steps, row)
                     : decode_groups_run<2, true>(jobs, passes, steps, row);
}

}  // namespace kvcast::kernels::avx512
