// From an engine's tensors to the coefficients of a section: element type, layer views, RoPE and
// transform, a tile of tokens at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"
#include "kernels/implementation.h"
#include "kernels/plane/section_shape.h"
#include "kernels/rope.h"
#include "kernels/transform/analysis_basis.h"
#include "kernels/transform/kernel_set.h"
#include "kernels/transform/packed_bases.h"

namespace kvcast::kernels {

// What this takes beside the section: kernels, the angles of every RoPE of the profile, which must
// outlive it, and the bases that encoders and decoders use. Immutable.
struct ChannelKernels {
  ChannelKernels(const Profile& profile, Implementation implementation);
  const TransformKernels* transform;
  std::vector<RopeAngles> ropes;
  AnalysisBases bases;
  PackedBases packed_bases;
};

// Channel groups whose coefficients come from some channels alone, so that the groups of a section
// need not all be in memory at once.
struct GroupRange {
  uint32_t first_group = 0, groups = 0;
  uint32_t first_channel = 0, channels = 0;
};
std::vector<GroupRange> group_ranges(const SectionShape& shape);

// Reads a section's coefficients, the same on every implementation. Arguments must outlive it; one
// thread.
class CoefficientLoader {
 public:
  CoefficientLoader(const ChannelKernels& kernels, const SectionShape& shape, DType dtype,
                    std::span<const TensorView> layers);
  ~CoefficientLoader();

  // Fault: a NaN or infinity in a sink token.
  Check check_sinks() const;

  // Those of a range, [channel group][coded token][lane]: the range's group g begins at 32 g T.
  // `all` has an element for each.
  // Fault: a NaN or infinity, at the element's index (plane.h, encode_section). Or a coefficient
  // that overflows fp32, at its token's index in the first layer.
  Check load(const GroupRange& range, std::span<float> all);

 private:
  class Tiles;
  std::unique_ptr<Tiles> tiles_;
};

// Of a whole section; without kernels, by those of the default implementation.
Checked<std::vector<float>> load_coefficients(const ChannelKernels& kernels,
                                              const SectionShape& shape, DType dtype,
                                              std::span<const TensorView> layers);
Checked<std::vector<float>> load_coefficients(const SectionShape& shape, DType dtype,
                                              std::span<const TensorView> layers);

}  // namespace kvcast::kernels
