#include "kernels/payload.h"

#include <stdexcept>

#include "kernels/entropy/rans_format.h"
#include "kernels/plane/reader.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {
namespace {

uint64_t words_of(const StreamTable& table) {
  uint64_t bytes = 0;
  for (const StreamView& stream : table.streams) {
    bytes += stream.bytes.size() - stream.lanes * kStateBytes;
  }
  return bytes;
}

}  // namespace

Checked<uint64_t> payload_bytes(const Profile& profile, uint32_t group, Side side,
                                TokenRange tokens,
                                std::span<const std::span<const std::byte>> planes) {
  const auto shape = shape_of_section(profile, group, side, tokens);
  if (!shape) return shape.fault();
  const std::vector<uint8_t>& ladder = shape->codec->drop_bits;
  if (planes.empty() || planes.size() > ladder.size()) {
    throw std::invalid_argument("payload: no base, or more planes than levels");
  }
  const auto base = read_base(*shape, profile.classes.size(), planes[0]);
  if (!base) return base.fault();
  uint64_t bytes = words_of(base->table);
  for (size_t level = 1; level < planes.size(); ++level) {
    const uint32_t passes = ladder[level - 1] - ladder[level];
    const auto refinement = read_refinement(*shape, base->coding_order, passes, planes[level]);
    if (!refinement) return refinement.fault();
    for (const StreamTable& pass : *refinement) bytes += words_of(pass);
  }
  return bytes;
}

}  // namespace kvcast::kernels
