#include "kernels/transform/analysis_basis.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/dtype.h"

namespace kvcast::kernels {
namespace {

constexpr double kOrthonormal = 0x1p-6;  // of an inner product: twice what rounding to bf16 does
constexpr double kRidge = 1e-10;         // of the mean squared norm: keeps singular bases solvable

double inner_product(const double* a, const double* b, size_t count) {
  double parts[8] = {};
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (size_t p = 0; p < 8; ++p) parts[p] += a[i + p] * b[i + p];
  }
  for (; i < count; ++i) parts[0] += a[i] * b[i];
  return ((parts[0] + parts[1]) + (parts[2] + parts[3])) +
         ((parts[4] + parts[5]) + (parts[6] + parts[7]));
}

// The lower triangle of B B^T, [rank][rank].
std::vector<double> gram_matrix(const std::vector<double>& basis, size_t rank, size_t width) {
  std::vector<double> gram(rank * rank);
  for (size_t a = 0; a < rank; ++a) {
    for (size_t b = 0; b <= a; ++b) {
      gram[a * rank + b] = inner_product(&basis[a * width], &basis[b * width], width);
    }
  }
  return gram;
}

bool is_identity(const std::vector<double>& gram, size_t rank) {
  for (size_t a = 0; a < rank; ++a) {
    for (size_t b = 0; b <= a; ++b) {
      if (std::fabs(gram[a * rank + b] - (a == b ? 1 : 0)) > kOrthonormal) return false;
    }
  }
  return true;
}

// Replaces a lower triangle by its Cholesky factor (Golub & Van Loan, 4.2).
void factorise(std::vector<double>& a, size_t n) {
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += a[i * n + i];
  const double least = std::max(kRidge * trace / static_cast<double>(n), 1e-300);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      const double rest = a[i * n + j] - inner_product(&a[i * n], &a[j * n], j);
      a[i * n + j] = i == j ? std::sqrt(std::max(rest, 0.0) + least) : rest / a[j * n + j];
    }
  }
}

void add_row(double factor, const double* __restrict from, size_t width, double* __restrict to) {
  for (size_t c = 0; c < width; ++c) to[c] += factor * from[c];
}

void scale_row(double factor, size_t width, double* row) {
  for (size_t c = 0; c < width; ++c) row[c] *= factor;
}

// rows := (L L^T)^-1 rows.
void solve(const std::vector<double>& l, size_t rank, size_t width, std::vector<double>& rows) {
  for (size_t i = 0; i < rank; ++i) {
    for (size_t j = 0; j < i; ++j)
      add_row(-l[i * rank + j], &rows[j * width], width, &rows[i * width]);
    scale_row(1 / l[i * rank + i], width, &rows[i * width]);
  }
  for (size_t i = rank; i-- > 0;) {
    for (size_t j = i + 1; j < rank; ++j) {
      add_row(-l[j * rank + i], &rows[j * width], width, &rows[i * width]);
    }
    scale_row(1 / l[i * rank + i], width, &rows[i * width]);
  }
}

}  // namespace

std::vector<float> analysis_basis(const TransformBlock& block) {
  const size_t rank = block.rank, width = block.width;
  std::vector<double> rows(block.basis.size());
  std::transform(block.basis.begin(), block.basis.end(), rows.begin(), bf16_to_f32);
  std::vector<double> gram = gram_matrix(rows, rank, width);
  if (!is_identity(gram, rank)) {
    factorise(gram, rank);
    solve(gram, rank, width, rows);
  }
  return {rows.begin(), rows.end()};
}

std::vector<std::vector<float>> analysis_bases(const SectionCodec& codec) {
  std::vector<std::vector<float>> bases;
  for (const TransformBlock& block : codec.blocks) bases.push_back(analysis_basis(block));
  return bases;
}

AnalysisBases::AnalysisBases(const Profile& profile)
    : profile_(&profile), sections_(std::make_unique<Section[]>(profile.sections.size())) {}

const std::vector<std::vector<float>>& AnalysisBases::of(const SectionCodec& codec) const {
  Section& section = sections_[static_cast<size_t>(&codec - profile_->sections.data())];
  std::call_once(section.made, [&] { section.bases = analysis_bases(codec); });
  return section.bases;
}

}  // namespace kvcast::kernels
