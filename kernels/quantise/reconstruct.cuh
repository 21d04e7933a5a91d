// Reconstruction of one value on a device: kernels/quantise/quantiser.h, bit for bit. Values are in
// sign (bit 15) and magnitude.
#pragma once

#include "kernels/cuda/arguments.cuh"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kSignOfValue = 0x8000, kMagnitudeOfValue = 0x7FFF;

struct CellOfClass {
  float step, rounding, cell;
  float fraction[2];

  CellOfClass() = default;
  KVCAST_DEVICE CellOfClass(const DecodeArguments& arguments, const DecodeSection& section,
                            uint32_t scale_class) {
    const SectionImage& image = arguments.image(section);
    const float* const of_class = arguments.scale_class(scale_class).fraction[section.passes];
    step = image.step;
    rounding = image.rounding;
    cell = to_float(1u << section.dropped_bits);
    fraction[0] = of_class[0];
    fraction[1] = of_class[1];
  }

  // bf16 bits. `sign`: 0 or kSignOfValue.
  KVCAST_DEVICE uint32_t reconstruct(uint32_t magnitude, uint32_t sign) const {
    const float inside = magnitude == 1 ? fraction[0] : fraction[1];
    const float y =
        multiply(step, subtract(multiply(add(to_float(magnitude), inside), cell), rounding));
    const uint32_t bits = bits_of(y) ^ sign << 16;
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return magnitude == 0 ? 0 : rounded & 0xFFFF;
  }
};

}  // namespace
}  // namespace kvcast::kernels
