// Bases as the product of an implementation wants them (InverseKernels::pack).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "kernels/profile.h"
#include "kernels/transform/inverse_kernels.h"

namespace kvcast::kernels {

struct PackedBlock {
  std::vector<CacheLine> basis;
  // Where the block's components are neighbours in coded order, whatever their order there, the
  // rows of the basis follow it, from this position on. Else they are in the block's own order.
  std::optional<size_t> first_position;
};

// [block], of one section; empty: no transform.
std::vector<PackedBlock> packed_bases(const SectionCodec& codec, const InverseKernels& kernels);

// Those of every section of a profile, which must outlive this; made when first asked for, so that
// encoders do without. Any number of threads.
class PackedBases {
 public:
  PackedBases(const Profile& profile, const InverseKernels& kernels);
  const std::vector<PackedBlock>& of(const SectionCodec& section) const;  // of the profile

 private:
  struct Section {
    std::once_flag made;
    std::vector<PackedBlock> blocks;
  };
  const Profile* profile_;
  const InverseKernels* kernels_;
  std::unique_ptr<Section[]> sections_;  // as in the profile
};

}  // namespace kvcast::kernels
