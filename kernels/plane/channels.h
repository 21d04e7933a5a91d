// Between an engine's tensors and the coefficients of a section: element type, layer views, RoPE
// and transform, a tile of tokens at a time.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"
#include "kernels/implementation.h"
#include "kernels/plane/section_shape.h"
#include "kernels/rope.h"
#include "kernels/transform/analysis_basis.h"
#include "kernels/transform/column_kernels.h"

namespace kvcast::kernels {

// What this takes beside the section: kernels, the angles of every RoPE of the profile, which must
// outlive it, and the bases that encoders use. Immutable.
struct ChannelKernels {
  ChannelKernels(const Profile& profile, Implementation implementation);
  const TransformKernels* transform;
  std::vector<RopeAngles> ropes;
  AnalysisBases bases;
};

// All coefficients of a section, [channel group][coded token][lane]: group g begins at 32 g T. The
// same on every implementation.
// Fault: a NaN or infinity, at the element's index (plane.h, encode_section). Sink tokens are
// checked too. Or a coefficient that overflows fp32, at its token's index in the first layer.
Checked<std::vector<float>> load_coefficients(const ChannelKernels& kernels,
                                              const SectionShape& shape, DType dtype,
                                              std::span<const TensorView> layers);

// For one section alone: kernels of the default implementation.
Checked<std::vector<float>> load_coefficients(const SectionShape& shape, DType dtype,
                                              std::span<const TensorView> layers);

// coefficients: bf16, [coded token][coefficient]. Writes the coded tokens of every layer.
void store_coefficients(const ChannelKernels& kernels, const SectionShape& shape,
                        std::span<const uint16_t> coefficients, DType dtype,
                        std::span<const MutableTensorView> layers);

}  // namespace kvcast::kernels
