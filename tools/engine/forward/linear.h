// Matrix products of forward and backward passes, through CBLAS. Matrices are fp32, row-major;
// strides are in floats.
#pragma once

#include <cstddef>
#include <vector>

namespace kvcast::engine {

struct ConstRows {
  const float* data = nullptr;
  size_t stride = 0;
};
struct Rows {
  float* data = nullptr;
  size_t stride = 0;
  operator ConstRows() const { return {data, stride}; }  // NOLINT: a view of the same rows
};

enum class Into { kReplace, kAdd };

// to[rows][outputs] (+)= from[rows][inputs] * weights[outputs][inputs]^T
void linear(size_t rows, size_t outputs, size_t inputs, ConstRows from,
            const std::vector<float>& weights, Rows to, Into into = Into::kReplace);

// to[rows][columns] = scale * a[rows][inner] * b[columns][inner]^T
void multiply_transposed(size_t rows, size_t columns, size_t inner, float scale, ConstRows a,
                         ConstRows b, Rows to);

// to[rows][columns] += a[rows][inner] * b[inner][columns]
void add_product(size_t rows, size_t columns, size_t inner, ConstRows a, ConstRows b, Rows to);

// to[rows][columns] += a[inner][rows]^T * b[inner][columns]
void add_transposed_product(size_t rows, size_t columns, size_t inner, ConstRows a, ConstRows b,
                            Rows to);

}  // namespace kvcast::engine
