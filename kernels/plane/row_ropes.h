// The angles of some tokens as FinishKernels want them, for every RoPE that the layers of a section
// use.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/plane/section_shape.h"
#include "kernels/rope.h"
#include "kernels/transform/inverse_kernels.h"

namespace kvcast::kernels {

class RowRopes {
 public:
  RowRopes(const SectionShape& shape, std::span<const RopeAngles> ropes);

  // The tokens are `count` from token `first` of the chunk on.
  void move_to(uint32_t first, size_t count);

  // From one of these tokens on; nothing: the layer has no RoPE. Until move_to().
  std::optional<Rotation> rotation(uint32_t layer, size_t token) const;

 private:
  struct Table {
    bool used = false;
    std::vector<float> cosine, sine;  // [token][Rotation::stride], attention scaling applied
  };

  const SectionShape& shape_;
  std::span<const RopeAngles> ropes_;
  std::vector<Table> tables_;           // [rope of the profile]; empty: values
  std::vector<float> cosines_, sines_;  // [frequency][token]
};

}  // namespace kvcast::kernels
