// A channel group of fewer than 32 lanes, the last one: decoded by scalar functions.
#pragma once

#include "kernels/fault.h"
#include "kernels/plane/section_decoding.h"

namespace kvcast::kernels {

// The group that `walk` stands at; moves its cursors, but not the walk.
Check decode_narrow_group(SectionDecoding& section, Walk& walk);

}  // namespace kvcast::kernels
