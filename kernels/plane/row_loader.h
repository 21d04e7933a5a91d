// Reads coefficients of sections whose coefficients are their channels, unturned: row by row,
// without the way over columns that a transform and RoPE want.
#pragma once

#include <optional>
#include <span>

#include "kernels/dtype.h"
#include "kernels/geometry.h"
#include "kernels/plane/channels.h"
#include "kernels/plane/section_shape.h"
#include "kernels/quantise/quantising_kernels.h"

namespace kvcast::kernels {

class RowLoader {
 public:
  // Nothing where the section takes more, or elements are other than bf16. Arguments must outlive
  // it.
  static std::optional<RowLoader> of(const QuantisingKernels& kernels, const SectionShape& shape,
                                     DType dtype, std::span<const TensorView> layers);

  // CoefficientLoader::load(), the same values. False: some coefficient is not finite; the others
  // are then unspecified.
  bool load(const GroupRange& range, std::span<float> all) const;

 private:
  RowLoader(const QuantisingKernels& kernels, const SectionShape& shape,
            std::span<const TensorView> layers)
      : kernels_(&kernels), shape_(&shape), layers_(layers) {}

  const QuantisingKernels* kernels_;
  const SectionShape* shape_;
  std::span<const TensorView> layers_;
};

}  // namespace kvcast::kernels
