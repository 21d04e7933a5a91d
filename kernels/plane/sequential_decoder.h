// The scalar decoder of a section: group by group, every plane of a group in turn. The reference.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/plane.h"
#include "kernels/plane/section_planes.h"

namespace kvcast::kernels {

// coefficients: [coded token][coefficient], bf16.
Check decode_sequentially(const Codec& codec, const SectionShape& shape,
                          const SectionPlanes& planes, std::span<uint16_t> coefficients);

}  // namespace kvcast::kernels
