#include "kernels/transform/finish_loops.h"

namespace kvcast::kernels::scalar {
namespace {

struct Isa {
  using Vector = float;
  static constexpr size_t kLanes = 1;
  static Vector load(const float* from) { return *from; }
  // In fp64 and rounded once to fp32: equals fp32 fma but for about one value in 2^29.
  static Vector fuse(Vector scale, Vector u, Vector mean) {
    return static_cast<float>(static_cast<double>(scale) * u + mean);
  }
  static void swap(Vector& a, Vector& b) {
    const Vector first = a;
    a = b;
    b = first;
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

}  // namespace kvcast::kernels::scalar
