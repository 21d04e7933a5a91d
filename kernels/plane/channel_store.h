// From the coefficients of a section to an engine's tensors: transform, scale and shift, RoPE,
// element type, layer views.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/dtype.h"
#include "kernels/geometry.h"
#include "kernels/plane/channels.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

// coefficients: bf16, [coded token][coefficient]. Writes the coded tokens of every layer.
void store_coefficients(const ChannelKernels& kernels, const SectionShape& shape,
                        std::span<const uint16_t> coefficients, DType dtype,
                        std::span<const MutableTensorView> layers);

}  // namespace kvcast::kernels
