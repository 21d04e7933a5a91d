#include "kernels/plane/section_planes.h"

#include <string>

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

Fault in_plane(size_t plane, const Fault& fault) {
  return {"plane " + std::to_string(plane) + ": " + fault.what, fault.offset};
}

Checked<SectionPlanes> read_planes(const SectionShape& shape, size_t classes,
                                   std::span<const std::span<const std::byte>> planes) {
  const std::vector<uint8_t>& ladder = shape.codec->drop_bits;
  if (planes.empty() || planes.size() > ladder.size()) {
    return Fault{std::to_string(planes.size()) + " planes, expected 1 to " +
                 std::to_string(ladder.size())};
  }
  auto base = read_base(shape, classes, planes[0]);
  if (!base) return in_plane(0, base.fault());
  SectionPlanes section{
      planes, std::move(*base), {}, ladder[planes.size() - 1], kMaxMagnitude >> ladder[0]};
  for (size_t plane = 1; plane < planes.size(); ++plane) {
    const uint32_t passes = ladder[plane - 1] - ladder[plane];
    auto tables = read_refinement(shape, section.base.coding_order, passes, planes[plane]);
    if (!tables) return in_plane(plane, tables.fault());
    for (StreamTable& table : *tables) section.passes.push_back({plane, std::move(table)});
  }
  return section;
}

}  // namespace kvcast::kernels
