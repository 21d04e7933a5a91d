// Test helper: the three steps of an encoding on the emulated device.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/device_encode.h"

namespace kvcast::kernels {

struct EmulatedSection {
  std::vector<std::vector<std::byte>> planes;
  std::vector<std::byte> sinks;
  std::vector<double> squared_error;
  double energy = 0;
};

Checked<std::vector<EmulatedSection>> encode_emulated(const DeviceEncodeProfile& profile,
                                                      DType dtype,
                                                      std::span<const SectionToEncode> sections);

}  // namespace kvcast::kernels
