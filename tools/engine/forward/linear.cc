#include "tools/engine/forward/linear.h"

#include <cblas.h>

namespace kvcast::engine {
namespace {

blasint as_int(size_t n) {
  return static_cast<blasint>(n);
}

void gemm(CBLAS_TRANSPOSE transpose_b, size_t rows, size_t columns, size_t inner, float alpha,
          ConstRows a, ConstRows b, float beta, Rows to) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, transpose_b, as_int(rows), as_int(columns),
              as_int(inner), alpha, a.data, as_int(a.stride), b.data, as_int(b.stride), beta,
              to.data, as_int(to.stride));
}

}  // namespace

void linear(size_t rows, size_t outputs, size_t inputs, ConstRows from,
            const std::vector<float>& weights, Rows to, Into into) {
  gemm(CblasTrans, rows, outputs, inputs, 1.0f, from, {weights.data(), inputs},
       into == Into::kAdd ? 1.0f : 0.0f, to);
}

void multiply_transposed(size_t rows, size_t columns, size_t inner, float scale, ConstRows a,
                         ConstRows b, Rows to) {
  gemm(CblasTrans, rows, columns, inner, scale, a, b, 0.0f, to);
}

void add_product(size_t rows, size_t columns, size_t inner, ConstRows a, ConstRows b, Rows to) {
  gemm(CblasNoTrans, rows, columns, inner, 1.0f, a, b, 1.0f, to);
}

void add_transposed_product(size_t rows, size_t columns, size_t inner, ConstRows a, ConstRows b,
                            Rows to) {
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, as_int(rows), as_int(columns), as_int(inner),
              1.0f, a.data, as_int(a.stride), b.data, as_int(b.stride), 1.0f, to.data,
              as_int(to.stride));
}

}  // namespace kvcast::engine
