// From the channels of a section to its coefficients and back: kernels/plane_format.md, section 1
// steps 2-4 and section 2. Stateless and thread-safe. Rows are tokens, last index fastest; any
// number of tokens.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/profile.h"
#include "kernels/transform/transform_kernels.h"

namespace kvcast::kernels::transform {

// channels: [tokens][width], RoPE undone. coefficients: [tokens][C], in coded order. Operations
// happen in one fixed order whatever the number of tokens, so that packing is deterministic.
void forward(const SectionCodec& codec, std::span<const float> channels, uint32_t tokens,
             std::span<float> coefficients);

// coefficients_bf16: [tokens][C], in coded order. channels: [tokens][width], mean and scale
// applied, before RoPE is redone. Without `kernels`, the multiply-add by scale and mean is computed
// in fp64 and rounded once to fp32, which equals fp32 fma but for about one value in 2^29.
void inverse(const SectionCodec& codec, std::span<const uint16_t> coefficients_bf16,
             uint32_t tokens, std::span<float> channels, const TransformKernels* kernels = nullptr);

}  // namespace kvcast::kernels::transform
