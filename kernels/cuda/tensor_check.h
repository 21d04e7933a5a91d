// Checks on the host that a DeviceTensor can hold some tokens.
#pragma once

#include <cstdint>

#include "kernels/device_layout.h"
#include "kernels/fault.h"

namespace kvcast::kernels {

// `count` tokens from the tensor's first slot on, of `layers` layers. Fault: as DecodePlan::make
// says.
Check check_tensor(const DeviceTensor& tensor, uint32_t layers, uint32_t heads, uint32_t dim,
                   uint32_t count, DType dtype);

// Every address of eight dims is a multiple of 16.
bool is_aligned(const DeviceTensor& tensor);

}  // namespace kvcast::kernels
