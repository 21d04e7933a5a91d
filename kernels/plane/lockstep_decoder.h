// The vector decoder of a section: the base of all groups, several streams in lock step, then pass
// after pass over the values. A lone base decodes straight into coefficients: a value's coefficient
// is a constant of its class, so that the table holds it. Same coefficients as
// kernels/plane/sequential_decoder.h; a damaged section may be refused with another message.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/plane.h"
#include "kernels/plane/section_planes.h"

namespace kvcast::kernels {

// coefficients: [coded token][coefficient], bf16. The codec must have vector kernels.
Check decode_in_lockstep(const Codec& codec, const SectionShape& shape, const SectionPlanes& planes,
                         std::span<uint16_t> coefficients);

}  // namespace kvcast::kernels
