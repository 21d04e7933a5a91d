// What an encoder multiplies normalised channels by. A profile holds the decoder's matrix: channels
// = components * basis. Where its rows are orthonormal it is the encoder's as well. Where they are
// not (calibration with error weights makes such), components are those of least squares: those of
// the dual basis (B B^T)^-1 B, so that what the decoder adds up is the channels again.
// kernels/plane_format.md, section 1, step 3.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "kernels/profile.h"

namespace kvcast::kernels {

// [rank][width], the same on every machine: fp64 in a fixed order, rounded once. Rows that depend
// on each other share what they have in common. Cost of a basis that is not orthonormal: 3/2 rank^2
// width multiplications.
std::vector<float> analysis_basis(const TransformBlock& block);

// [block], of one section; empty: no transform.
std::vector<std::vector<float>> analysis_bases(const SectionCodec& codec);

// Those of every section of a profile, which must outlive this; made when first asked for, so that
// decoders do without. Any number of threads.
class AnalysisBases {
 public:
  explicit AnalysisBases(const Profile& profile);
  const std::vector<std::vector<float>>& of(const SectionCodec& section) const;  // of the profile

 private:
  struct Section {
    std::once_flag made;
    std::vector<std::vector<float>> bases;
  };
  const Profile* profile_;
  std::unique_ptr<Section[]> sections_;  // as in the profile
};

}  // namespace kvcast::kernels
