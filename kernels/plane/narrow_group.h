// A channel group of fewer than 32 lanes, the last one: decoded by scalar functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/plane.h"
#include "kernels/plane/section_shape.h"
#include "kernels/plane/section_values.h"
#include "kernels/plane/section_walks.h"

namespace kvcast::kernels {

// The group that `walk` stands at; moves its cursors, but not the walk. coefficients: of the whole
// section.
Check decode_narrow_group(const Codec& codec, const SectionShape& shape, uint8_t scale_class,
                          Walk& walk, SectionValues& section, std::span<uint16_t> coefficients);

}  // namespace kvcast::kernels
