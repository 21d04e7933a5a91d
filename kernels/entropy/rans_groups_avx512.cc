#include "kernels/entropy/rans_stream_avx512.h"

namespace kvcast::kernels::avx512 {
namespace {

// The base and passes of a group. Pass p works p steps behind the base, so that what one iteration
// does to each stream is independent of the others.
template <int kPasses, bool kAll>
struct Group {
  LaneMask<kAll> lanes{32};
  Stream streams[1 + kPasses];
  __m512i changes[kPasses];
  __m512i values[1 + kPasses];  // after that many passes

  [[gnu::always_inline]] void open(const GroupJob& job) {
    lanes = LaneMask<kAll>(job.lanes);
    for (int part = 0; part <= kPasses; ++part) streams[part].open(*job.cursor[part]);
    for (int pass = 0; pass < kPasses; ++pass)
      changes[pass] = changes_of(*job.table[1 + pass], kFusedSign | 1);
  }

  [[gnu::always_inline]] bool base(const GroupJob& job, uint32_t step) {
    __m512i value = decode_base(streams[0], lanes, *job.table[0], *job.values);
    const __mmask32 escapes = lanes.of(
        _mm512_cmpeq_epi16_mask(value, _mm512_set1_epi16(static_cast<int16_t>(kFusedEscape))));
    bool enough = true;
    if (escapes != 0) [[unlikely]] {
      value = place_escapes(value, escapes, *job.escaped);
      enough = job.escaped->next <= job.escaped->end;
    }
    if (job.escapes) job.escapes[step] = escapes;
    values[0] = value;
    return enough;
  }

  [[gnu::always_inline]] void pass(const GroupJob& job, int p) {
    const __m512i before = values[p - 1];
    const __m512i context = _mm512_min_epu16(_mm512_slli_epi16(before, 2), _mm512_set1_epi16(8));
    const __m512i change = decode_change(streams[p], lanes, *job.table[p], context, changes[p - 1]);
    const __m512i magnitude = _mm512_and_si512(before, _mm512_set1_epi16(0x7FFF));
    values[p] = _mm512_add_epi16(_mm512_add_epi16(before, magnitude), change);
  }

  [[gnu::always_inline]] void write(const GroupJob& job, uint32_t step, size_t row) const {
    const __m512i value = values[kPasses];
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

  [[gnu::always_inline]] bool enough_words(const GroupJob& job) const {
    bool enough = true;
#pragma GCC unroll 4
    for (int part = 0; part <= kPasses; ++part)
      enough &= streams[part].next <= job.cursor[part]->end;
    return enough;
  }

  void close(const GroupJob& job) const {
    for (int part = 0; part <= kPasses; ++part) streams[part].close(lanes, *job.cursor[part]);
  }
};
static_assert(kFusedMagnitudes == 128);

template <int kGroups, int kPasses, bool kAll>
bool decode_groups_run(const GroupJob* jobs, uint32_t steps, size_t row) {
  Group<kPasses, kAll> groups[kGroups];
  for (int g = 0; g < kGroups; ++g) groups[g].open(jobs[g]);
  bool enough = true;
  // The first and the last iterations: not every part has a step to do.
  const auto at_an_end = [&](uint32_t at) {
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 3
      for (int p = kPasses; p >= 1; --p) {
        const auto behind = static_cast<uint32_t>(p);
        if (at >= behind && at - behind < steps) groups[g].pass(jobs[g], p);
      }
      if (at < steps) enough &= groups[g].base(jobs[g], at);
      if (at >= kPasses) groups[g].write(jobs[g], at - kPasses, row);
      enough &= groups[g].enough_words(jobs[g]);
    }
  };
  uint32_t at = 0;
  for (; at < kPasses && enough; ++at) at_an_end(at);
  for (; at < steps && enough; ++at) {
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 3
      for (int p = kPasses; p >= 1; --p) groups[g].pass(jobs[g], p);
      enough &= groups[g].base(jobs[g], at);
      groups[g].write(jobs[g], at - kPasses, row);
      enough &= groups[g].enough_words(jobs[g]);
    }
  }
  for (; at < steps + kPasses && enough; ++at) at_an_end(at);
  for (int g = 0; g < kGroups; ++g) groups[g].close(jobs[g]);
  return enough;
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
