// The vector decoder of a section: channel group by channel group, all parts of a group and several
// walks in lock step. Without passes symbols decode straight into coefficients; with a few, values
// stay in registers from the base to the coefficient; with many they are refined in memory, pass by
// pass. Same coefficients as kernels/plane/sequential_decoder.h; a damaged section may be refused
// with another message.
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
