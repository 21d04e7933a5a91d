#include <vector>

#include "kernels/implementation.h"
#include "kernels/implementation/amx.h"
#include "kernels/implementation/encode_kernels.h"
#include "kernels/implementation/transform_kernels.h"
#include "kernels/implementation/vector_kernels.h"

namespace kvcast::kernels {

bool runs_here(Implementation implementation) {
  switch (implementation) {
    case Implementation::kScalar:
      return true;
    case Implementation::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("popcnt");
    case Implementation::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("popcnt");
    case Implementation::kAmx:
      return runs_here(Implementation::kAvx512) && __builtin_cpu_supports("avx512bf16") &&
             may_use_amx();
  }
  return false;
}

const VectorKernels* vector_kernels(Implementation implementation) {
  static constexpr VectorKernels kAvx2{
      {avx2::decode_symbols, avx2::refine_values, avx2::decode_groups}, {avx2::reconstruct_rows}};
  static constexpr VectorKernels kAvx512{
      {avx512::decode_symbols, avx512::refine_values, avx512::decode_groups},
      {avx512::reconstruct_rows}};
  switch (implementation) {
    case Implementation::kScalar:
      return nullptr;
    case Implementation::kAvx2:
      return &kAvx2;
    case Implementation::kAvx512:
    case Implementation::kAmx:
      return &kAvx512;
  }
  return nullptr;
}

const EncodeKernels& encode_kernels(Implementation implementation) {
  // AVX2 has no way to code symbols that is faster than scalar's: it would look up three tables a
  // symbol by gathers, and store words without a compress instruction.
  static constexpr EncodeKernels kScalar{scalar::encode_symbols, &scalar::kQuantisingKernels};
  static constexpr EncodeKernels kAvx2{scalar::encode_symbols, &avx2::kQuantisingKernels};
  static constexpr EncodeKernels kAvx512{avx512::encode_symbols, &avx512::kQuantisingKernels};
  switch (implementation) {
    case Implementation::kScalar:
      return kScalar;
    case Implementation::kAvx2:
      return kAvx2;
    case Implementation::kAvx512:
    case Implementation::kAmx:
      return kAvx512;
  }
  return kScalar;
}

namespace {

constexpr NamedTransformKernels kScalarTransform{
    "scalar", {&scalar::kColumnKernels, &scalar::kInverseKernels, &scalar::kFinishKernels}};
constexpr NamedTransformKernels kAvx2Transform{
    "avx2", {&avx2::kColumnKernels, &avx2::kInverseKernels, &avx2::kFinishKernels}};
constexpr NamedTransformKernels kAvx512Transform{
    "avx512", {&avx512::kColumnKernels, &avx512::kInverseKernels, &avx512::kFinishKernels}};
constexpr NamedTransformKernels kBf16Transform{
    "avx512 bf16",
    {&avx512::kColumnKernels, &avx512_bf16::kInverseKernels, &avx512_bf16::kFinishKernels}};
constexpr NamedTransformKernels kMixedTransform{
    "avx512, bf16 narrowed",
    {&avx512::kColumnKernels, &avx512::kInverseKernels, &avx512_bf16::kFinishKernels}};
constexpr NamedTransformKernels kAmxTransform{
    "amx", {&avx512::kColumnKernels, &amx::kInverseKernels, &avx512_bf16::kFinishKernels}};

std::vector<NamedTransformKernels> find_transform_kernels() {
  std::vector<NamedTransformKernels> found = {kScalarTransform};
  if (runs_here(Implementation::kAvx2)) found.push_back(kAvx2Transform);
  if (!runs_here(Implementation::kAvx512)) return found;
  found.push_back(kAvx512Transform);
  if (__builtin_cpu_supports("avx512bf16")) {
    found.push_back(kBf16Transform);
    found.push_back(kMixedTransform);
  }
  if (runs_here(Implementation::kAmx)) found.push_back(kAmxTransform);
  return found;
}

// The faster of AVX-512's, on Intel's CPUs: Emerald Rapids was measured to multiply a vector of fp32
// four times as fast as one of pairs of bf16. Others, not measured, get the fewer instructions.
const TransformKernels& avx512_transform_kernels() {
  if (!__builtin_cpu_supports("avx512bf16")) return kAvx512Transform.kernels;
  return __builtin_cpu_is("intel") ? kMixedTransform.kernels : kBf16Transform.kernels;
}

}  // namespace

const TransformKernels& transform_kernels(Implementation implementation) {
  switch (implementation) {
    case Implementation::kScalar:
      return kScalarTransform.kernels;
    case Implementation::kAvx2:
      return kAvx2Transform.kernels;
    case Implementation::kAvx512:
      return avx512_transform_kernels();
    case Implementation::kAmx:
      return kAmxTransform.kernels;
  }
  return kScalarTransform.kernels;
}

std::span<const NamedTransformKernels> transform_kernels_here() {
  static const std::vector<NamedTransformKernels> found = find_transform_kernels();
  return found;
}

}  // namespace kvcast::kernels
