#include "kernels/transform/packed_bases.h"

namespace kvcast::kernels {

std::vector<std::vector<float>> packed_bases(const SectionCodec& codec,
                                             const InverseKernels& kernels) {
  std::vector<std::vector<float>> bases;
  for (const TransformBlock& block : codec.blocks) {
    std::vector<float>& packed = bases.emplace_back(packed_size(block.rank, block.width));
    kernels.pack(block.basis.data(), block.rank, block.width, packed.data());
  }
  return bases;
}

PackedBases::PackedBases(const Profile& profile, const InverseKernels& kernels)
    : profile_(&profile),
      kernels_(&kernels),
      sections_(std::make_unique<Section[]>(profile.sections.size())) {}

const std::vector<std::vector<float>>& PackedBases::of(const SectionCodec& codec) const {
  Section& section = sections_[static_cast<size_t>(&codec - profile_->sections.data())];
  std::call_once(section.made, [&] { section.bases = packed_bases(codec, *kernels_); });
  return section.bases;
}

}  // namespace kvcast::kernels
