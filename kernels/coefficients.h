// What the quantiser would see of a section: for calibration, which fits profiles to it.
#pragma once

#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

// RoPE undone, normalised, transformed and reordered (plane_format.md, section 1, steps 1-4), sinks
// left out: [coded token][coefficient]. `profile` must be valid. Fault: as encode_section's.
Checked<std::vector<float>> section_coefficients(const Profile& profile, uint32_t group, Side side,
                                                 TokenRange tokens, DType dtype,
                                                 std::span<const TensorView> layers);

}  // namespace kvcast::kernels
