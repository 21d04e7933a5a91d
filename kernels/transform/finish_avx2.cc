#include <immintrin.h>

#include "kernels/transform/finish_loops.h"

namespace kvcast::kernels::avx2 {
namespace {

struct Isa {
  using Vector = __m256;
  static constexpr size_t kLanes = 8;
  static Vector load(const float* from) { return _mm256_loadu_ps(from); }
  static Vector fuse(Vector scale, Vector u, Vector mean) {
    return _mm256_fmadd_ps(scale, u, mean);
  }
  static void swap(Vector& a, Vector& b) {
    a = _mm256_permute_ps(a, 0xB1);
    b = _mm256_permute_ps(b, 0xB1);
  }
  static void store_bf16(Vector a, Vector b, std::byte* to) {
    narrow_and_store<narrow_to_bf16>(a, b, to);
  }
  static void store_f16(Vector a, Vector b, std::byte* to) {
    narrow_and_store<narrow_to_f16>(a, b, to);
  }
  static void store_f32(Vector a, Vector b, std::byte* to) {
    std::memcpy(to, &a, sizeof(a));
    std::memcpy(to + sizeof(a), &b, sizeof(b));
  }
};

}  // namespace

constexpr FinishKernels kFinishKernels = finish_kernels<Isa>();

}  // namespace kvcast::kernels::avx2
