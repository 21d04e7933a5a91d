#include "kernels/transform/packed_bases.h"

#include <algorithm>
#include <span>

namespace kvcast::kernels {
namespace {

// positions: of the block's components in coded order.
PackedBlock packed(const TransformBlock& block, std::span<const size_t> positions,
                   const InverseKernels& kernels) {
  PackedBlock made;
  made.basis.resize(packed_lines(block.rank, block.width, kernels));
  const auto pack = [&](const std::vector<uint16_t>& basis) {
    kernels.pack(basis.data(), block.rank, block.width, made.basis.data());
  };
  if (positions.empty()) return made;
  const auto [first, last] = std::minmax_element(positions.begin(), positions.end());
  if (*last - *first >= positions.size()) {
    pack(block.basis);
    return made;
  }
  made.first_position = *first;
  std::vector<uint16_t> rows(block.basis.size());
  for (size_t r = 0; r < block.rank; ++r) {
    const auto from = block.basis.begin() + static_cast<ptrdiff_t>(r * block.width);
    std::copy_n(from, block.width,
                rows.begin() + static_cast<ptrdiff_t>((positions[r] - *first) * block.width));
  }
  pack(rows);
  return made;
}

}  // namespace

std::vector<PackedBlock> packed_bases(const SectionCodec& codec, const InverseKernels& kernels) {
  std::vector<size_t> positions(codec.order.size());  // [component]
  for (size_t p = 0; p < codec.order.size(); ++p) positions[codec.order[p]] = p;
  std::span<const size_t> left = positions;
  std::vector<PackedBlock> blocks;
  for (const TransformBlock& block : codec.blocks) {
    blocks.push_back(packed(block, left.first(block.rank), kernels));
    left = left.subspan(block.rank);
  }
  return blocks;
}

PackedBases::PackedBases(const Profile& profile, const InverseKernels& kernels)
    : profile_(&profile),
      kernels_(&kernels),
      sections_(std::make_unique<Section[]>(profile.sections.size())) {}

const std::vector<PackedBlock>& PackedBases::of(const SectionCodec& codec) const {
  Section& section = sections_[static_cast<size_t>(&codec - profile_->sections.data())];
  std::call_once(section.made, [&] { section.blocks = packed_bases(codec, *kernels_); });
  return section.blocks;
}

}  // namespace kvcast::kernels
