#include "kernels/quantise/quantiser.h"

#include <bit>
#include <cstddef>

#include "kernels/quantise/quantising_kernels.h"

namespace kvcast::kernels {

void quantise(std::span<const float> y, float step, float rounding, std::span<int32_t> q) {
  scalar::kQuantisingKernels.quantise(y.data(), y.size(), step, rounding, nullptr, q.data());
}

void reconstruct(const Reconstruction& reconstruction, std::span<const int32_t> values,
                 std::span<uint16_t> bf16) {
  const auto [step, rounding, dropped_bits, fraction] = reconstruction;
  const float cell = static_cast<float>(1u << dropped_bits);
  for (size_t i = 0; i < values.size(); ++i) {
    const int32_t magnitude = values[i] < 0 ? -values[i] : values[i];
    const float inside = magnitude == 1 ? fraction[0] : fraction[1];
    const float y = step * ((static_cast<float>(magnitude) + inside) * cell - rounding);
    // y is never NaN, so rounding to bf16 (nearest even) needs no special case.
    const uint32_t bits = std::bit_cast<uint32_t>(values[i] < 0 ? -y : y);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    bf16[i] = values[i] == 0 ? uint16_t{0} : static_cast<uint16_t>(rounded);
  }
}

}  // namespace kvcast::kernels
