// Bases as the product of an implementation wants them (InverseKernels::pack).
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "kernels/profile.h"
#include "kernels/transform/column_kernels.h"

namespace kvcast::kernels {

// [block], of one section; empty: no transform.
std::vector<std::vector<float>> packed_bases(const SectionCodec& codec,
                                             const InverseKernels& kernels);

// Those of every section of a profile, which must outlive this; made when first asked for, so that
// encoders do without. Any number of threads.
class PackedBases {
 public:
  PackedBases(const Profile& profile, const InverseKernels& kernels);
  const std::vector<std::vector<float>>& of(const SectionCodec& section) const;  // of the profile

 private:
  struct Section {
    std::once_flag made;
    std::vector<std::vector<float>> bases;
  };
  const Profile* profile_;
  const InverseKernels* kernels_;
  std::unique_ptr<Section[]> sections_;  // as in the profile
};

}  // namespace kvcast::kernels
