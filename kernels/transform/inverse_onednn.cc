#include "kernels/transform/inverse_onednn.h"

#include <omp.h>

#include <cstring>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>

namespace kvcast::kernels::onednn {
namespace {

using dnnl::memory;

// Below this the vector kernels are as fast, and their calls cost less.
bool is_wide(size_t rank, size_t width) {
  return rank >= 256 && width >= 256;
}

// out[width][kColumnTokens] = basis[width][rank] * components[rank][kColumnTokens].
class Product {
 public:
  Product(size_t rank, size_t width)
      : engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_),
        basis_(shape(width, rank), memory::data_type::bf16, memory::format_tag::ab),
        in_(shape(rank, kColumnTokens), memory::data_type::bf16, memory::format_tag::ab),
        out_(shape(width, kColumnTokens), memory::data_type::f32, memory::format_tag::ab),
        matmul_(dnnl::matmul::primitive_desc(dnnl::matmul::desc(basis_, in_, out_), engine_)) {}

  void run(const void* basis, const void* components, float* out) {
    matmul_.execute(stream_,
                    {{DNNL_ARG_SRC, memory(basis_, engine_, const_cast<void*>(basis))},
                     {DNNL_ARG_WEIGHTS, memory(in_, engine_, const_cast<void*>(components))},
                     {DNNL_ARG_DST, memory(out_, engine_, out)}});
    stream_.wait();
  }

 private:
  static memory::dims shape(size_t rows, size_t columns) {
    return {static_cast<memory::dim>(rows), static_cast<memory::dim>(columns)};
  }
  dnnl::engine engine_;
  dnnl::stream stream_;
  memory::desc basis_, in_, out_;
  dnnl::matmul matmul_;
};

// Making one compiles its code; each thread keeps its own.
Product& product_of(size_t rank, size_t width) {
  thread_local std::map<std::pair<size_t, size_t>, Product> products;
  return products.try_emplace({rank, width}, rank, width).first->second;
}

// Callers have threads of their own: oneDNN's stay out of the way while this lives.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;

 private:
  int before_;
};

// Wide: the transpose, [width][rank] bf16.
void pack(const uint16_t* basis, size_t rank, size_t width, float* packed) {
  if (!is_wide(rank, width)) return avx512_bf16::kInverseKernels.pack(basis, rank, width, packed);
  auto* const to = reinterpret_cast<std::byte*>(packed);
  for (size_t r = 0; r < rank; ++r) {
    for (size_t c = 0; c < width; ++c)
      std::memcpy(to + 2 * (c * rank + r), basis + r * width + c, sizeof(uint16_t));
  }
}

void product(const float* packed, size_t rank, size_t width, const uint16_t* const* components,
             const float* scale, const float* mean, float* scratch, float* out) {
  if (!is_wide(rank, width)) {
    return avx512_bf16::kInverseKernels.product(packed, rank, width, components, scale, mean,
                                                scratch, out);
  }
  constexpr size_t kColumnBytes = kColumnTokens * sizeof(uint16_t);
  for (size_t r = 0; r < rank; ++r)
    std::memcpy(reinterpret_cast<std::byte*>(scratch) + r * kColumnBytes, components[r],
                kColumnBytes);
  const OneThread alone;
  product_of(rank, width).run(packed, scratch, out);
  for (size_t c = 0; c < width; ++c) {
    float* const column = out + c * kColumnTokens;
    const double factor = scale[c], shift = mean[c];  // as scalar code fuses
    for (size_t t = 0; t < kColumnTokens; ++t)
      column[t] = static_cast<float>(factor * column[t] + shift);
  }
}

// Instruction sets are sets of bits; what oneDNN may use, it has also asked the system for.
bool has(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<unsigned>(wanted);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace

const Products* products() {
  static const Products found{{pack, product, avx512_bf16::kInverseKernels.scale_and_shift},
                              has(dnnl::cpu_isa::avx512_core_amx)};
  return has(dnnl::cpu_isa::avx512_core_bf16) ? &found : nullptr;
}

}  // namespace kvcast::kernels::onednn
