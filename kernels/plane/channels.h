// Between an engine's tensors and the channels of a section: element type, layer views and RoPE.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"
#include "kernels/plane/section_shape.h"
#include "kernels/transform/transform_kernels.h"

namespace kvcast::kernels {

// All coefficients of a section, [channel group][coded token][lane]: group g begins at 32 g T.
// Fault: a NaN or infinity, at the element's index (plane.h, encode_section). Sink tokens are
// checked too. Or a coefficient that overflows fp32, at its token's index in the first layer.
Checked<std::vector<float>> load_coefficients(const SectionShape& shape, DType dtype,
                                              std::span<const TensorView> layers);

// coefficients: bf16, [coded token][coefficient]. Writes the coded tokens of every layer.
// `kernels`: nullptr for scalar.
void store_coefficients(const SectionShape& shape, std::span<const uint16_t> coefficients,
                        DType dtype, std::span<const MutableTensorView> layers,
                        const TransformKernels* kernels = nullptr);

}  // namespace kvcast::kernels
