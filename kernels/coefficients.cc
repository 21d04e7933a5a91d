#include "kernels/coefficients.h"

#include <algorithm>

#include "kernels/plane/channels.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

Checked<std::vector<float>> section_coefficients(const Profile& profile, uint32_t group, Side side,
                                                 TokenRange tokens, DType dtype,
                                                 std::span<const TensorView> layers) {
  const auto shape = shape_of_section(profile, group, side, tokens);
  if (!shape) return shape.fault();
  const auto grouped = load_coefficients(*shape, dtype, layers);
  if (!grouped) return grouped.fault();
  std::vector<float> rows(grouped->size());
  const float* from = grouped->data();
  for (uint32_t g = 0; g < shape->groups; ++g) {
    const uint32_t lanes = shape->lanes(g);
    for (size_t t = 0; t < shape->coded_tokens; ++t, from += lanes) {
      std::copy_n(from, lanes, rows.data() + t * shape->coefficients + size_t{g} * kLanes);
    }
  }
  return rows;
}

}  // namespace kvcast::kernels
