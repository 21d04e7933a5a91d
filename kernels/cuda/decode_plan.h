// What a DecodePlan holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cuda/decode_tasks.h"
#include "kernels/device_decode.h"

namespace kvcast::kernels {

struct DecodePlan::Contents {
  const DeviceProfile* profile = nullptr;
  DType dtype = DType::kBf16;
  DecodeTasks tasks;
  std::vector<std::byte> descriptors;
  size_t planes_bytes = 0;
  uint64_t descriptors_offset = 0;     // scratch, behind everything else
  std::vector<uint64_t> coefficients;  // [section]: scratch
};

}  // namespace kvcast::kernels
