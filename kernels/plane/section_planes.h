// The first planes of a section, parsed. Points into their bytes, which must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/plane/reader.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

struct PassView {
  size_t plane;
  StreamTable table;
};

struct SectionPlanes {
  std::span<const std::span<const std::byte>> bytes;  // [plane]
  BaseView base;
  std::vector<PassView> passes;
  uint32_t dropped_bits = 0;   // of the level decoded
  int32_t largest_escape = 0;  // in magnitude
};

Checked<SectionPlanes> read_planes(const SectionShape& shape, size_t classes,
                                   std::span<const std::span<const std::byte>> planes);

// The fault, its plane named.
Fault in_plane(size_t plane, const Fault& fault);

}  // namespace kvcast::kernels
