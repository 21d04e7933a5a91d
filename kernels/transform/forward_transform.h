// From the channels of a section to its coefficients, a tile of up to kColumnTokens tokens at a
// time: kernels/plane_format.md, section 1 steps 2-4. Channels and coefficients are columns
// (kernels/transform/column_kernels.h). An object serves one thread; the codec must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/profile.h"
#include "kernels/transform/column_kernels.h"

namespace kvcast::kernels {

// Operations happen in one fixed order, token by token, so that packing is deterministic.
class ForwardTransform {
 public:
  // `bases`: kernels/transform/analysis_basis.h; they must outlive it.
  ForwardTransform(const SectionCodec& codec, const ColumnKernels& kernels,
                   std::span<const std::vector<float>> bases);

  // [width] columns to fill, RoPE undone; normalise() those filled, then run().
  std::span<float> channels();
  void normalise(size_t first, size_t count);
  void run();
  std::span<const float* const> coefficients() const;  // [C] columns, in coded order

 private:
  const SectionCodec& codec_;
  const ColumnKernels& kernels_;
  std::span<const std::vector<float>> bases_;  // [block]: [rank][width]
  std::vector<float> channels_, components_;
  std::vector<const float*> coded_;
};

}  // namespace kvcast::kernels
