// What FinishKernels need of AVX-512. Internal linkage: see finish_loops.h.
#pragma once

#include <immintrin.h>

#include "kernels/transform/finish_loops.h"

namespace kvcast::kernels {
namespace {

struct Avx512 {
  using Vector = __m512;
  static constexpr size_t kLanes = 16;
  static Vector load(const float* from) { return _mm512_loadu_ps(from); }
  static Vector fuse(Vector scale, Vector u, Vector mean) {
    return _mm512_fmadd_ps(scale, u, mean);
  }
  static void swap(Vector& a, Vector& b) {
    a = _mm512_permute_ps(a, 0xB1);
    b = _mm512_permute_ps(b, 0xB1);
  }
  static void store_bf16(Vector a, Vector b, std::byte* to) {
    narrow_and_store<narrow_to_bf16>(a, b, to);
  }
  static void store_f16(Vector a, Vector b, std::byte* to) {
    constexpr int kNearestEven = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(a, kNearestEven));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to) + 1, _mm512_cvtps_ph(b, kNearestEven));
  }
  static void store_f32(Vector a, Vector b, std::byte* to) {
    std::memcpy(to, &a, sizeof(a));
    std::memcpy(to + sizeof(a), &b, sizeof(b));
  }
};

}  // namespace
}  // namespace kvcast::kernels
