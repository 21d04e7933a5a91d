#include "kernels/entropy/rans_stream_avx512.h"

namespace kvcast::kernels::avx512 {
namespace {

template <int kStreams, bool kAll = true>
bool decode_run(const SymbolJob* jobs, uint32_t steps, size_t row) {
  const LaneMask<kAll> lanes(jobs[0].lanes);
  Stream streams[kStreams];
  for (int s = 0; s < kStreams; ++s) streams[s].open(*jobs[s].cursor);
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
#pragma GCC unroll 6
    for (int s = 0; s < kStreams; ++s) {
      const SymbolJob& job = jobs[s];
      __m512i value = decode_base(streams[s], lanes, *job.table, *job.values);
      const __m512i escape = _mm512_set1_epi16(static_cast<int16_t>(job.values->escape));
      const __mmask32 escapes = lanes.of(_mm512_cmpeq_epi16_mask(value, escape));
      if (escapes != 0) [[unlikely]] {
        value = place_escapes(value, escapes, *job.escaped);
        enough &= job.escaped->next <= job.escaped->end;
      }
      lanes.store(job.out + step * row, value);
      enough &= streams[s].next <= job.cursor->end;
    }
  }
  for (int s = 0; s < kStreams; ++s) streams[s].close(lanes, *jobs[s].cursor);
  return enough;
}

template <int kStreams, bool kAll = true>
bool refine_run(const RefineJob* jobs, uint32_t steps) {
  const LaneMask<kAll> lanes(jobs[0].lanes);
  Stream streams[kStreams];
  __m512i changes[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    streams[s].open(*jobs[s].cursor);
    changes[s] = changes_of(*jobs[s].table, 0xFFFF);
  }
  const __m512i two = _mm512_set1_epi16(2);
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
#pragma GCC unroll 6
    for (int s = 0; s < kStreams; ++s) {
      int16_t* const at = jobs[s].values + size_t{step} * 32;
      const __m512i before = _mm512_loadu_si512(at);
      const __m512i context = _mm512_slli_epi16(_mm512_min_epu16(_mm512_abs_epi16(before), two), 2);
      const __m512i bit = decode_change(streams[s], lanes, *jobs[s].table, context, changes[s]);
      const __m512i doubled = _mm512_add_epi16(before, before);
      const __m512i after = _mm512_add_epi16(doubled, bit);
      _mm512_storeu_si512(at,
                          _mm512_mask_sub_epi16(after, _mm512_movepi16_mask(before), doubled, bit));
      enough &= streams[s].next <= jobs[s].cursor->end;
    }
  }
  for (int s = 0; s < kStreams; ++s) streams[s].close(lanes, *jobs[s].cursor);
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
