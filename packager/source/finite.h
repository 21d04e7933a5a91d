// NaN and infinity in a tensor's bytes, by their bit patterns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernels/dtype.h"

namespace kvcast::packager {

struct NonFinite {
  uint64_t element = 0;    // index of the first
  const char* value = "";  // "NaN", "infinity" or "-infinity"
};

// The first element that is not finite. Whole elements only.
std::optional<NonFinite> find_non_finite(kernels::DType dtype, std::span<const std::byte> bytes);

uint64_t count_non_finite(kernels::DType dtype, std::span<const std::byte> bytes);

// Makes every element that is not finite 0.
void clear_non_finite(kernels::DType dtype, std::span<std::byte> bytes);

}  // namespace kvcast::packager
