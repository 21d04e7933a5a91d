// How often each symbol of a scale class occurs, and where in their cells the values lie: from
// these come a class's probability tables and reconstruction points (kernels/plane_format.md,
// sections 2 and 3). Counts are weights, so that data and parametric distributions mix.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/profile.h"

namespace kvcast::kernels {

struct ClassStatistics {
  static constexpr int32_t kNear = static_cast<int32_t>(kMaxAlphabet / 2) - 1;  // largest m
  struct Cells {
    double weight = 0, position = 0;  // position: weighted sum of fractions in [0, 1]
  };

  explicit ClassStatistics(uint32_t pass_count) : passes(pass_count), cells(pass_count + 1) {}

  // `weight` elements quantised to `q` (the finest value). `position`: the sum over them of |y| /
  // step + rounding - |q|, their places in the finest cell.
  void add(int32_t q, double weight, double position);
  void add(const ClassStatistics& other, double factor);
  double total() const;

  std::array<double, 2 * kNear + 1> near{};                  // base values -kNear..kNear
  double far = 0;                                            // base values further away
  std::vector<std::array<std::array<double, 3>, 3>> passes;  // [pass][context][symbol]
  std::vector<std::array<Cells, 2>> cells;                   // [passes done][magnitude 1, larger]
};

// Every symbol of the class gets a frequency of at least 1, so that any data stays codable; the
// alphabet ends where escapes are cheaper. `statistics` must hold some weight.
ScaleClass build_class(const ClassStatistics& statistics);

// What coding elements with these statistics costs with a class's tables, escapes included.
class CodeLengths {
 public:
  explicit CodeLengths(const ScaleClass& scale_class);
  double bits(const ClassStatistics& statistics) const;

 private:
  std::array<double, 2 * ClassStatistics::kNear + 1> near_{};
  double escape_ = 0;
  std::vector<std::array<std::array<double, 3>, 3>> passes_;
};

}  // namespace kvcast::kernels
