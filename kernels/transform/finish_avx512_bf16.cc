#include "kernels/transform/finish_avx512.h"

namespace kvcast::kernels::avx512_bf16 {
namespace {

struct Avx512Bf16 : Avx512 {
  static void store_bf16(Vector a, Vector b, std::byte* to) {
    _mm512_storeu_si512(to, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a)));
  }
};

}  // namespace

constexpr FinishKernels kFinishKernels = finish_kernels<Avx512Bf16>();

}  // namespace kvcast::kernels::avx512_bf16
