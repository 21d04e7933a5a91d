// The angles of a tile's tokens, for every RoPE that the layers of a section use.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/plane/section_shape.h"
#include "kernels/rope.h"
#include "kernels/transform/column_kernels.h"

namespace kvcast::kernels {

class ChannelRopes {
 public:
  ChannelRopes(const SectionShape& shape, std::span<const RopeAngles> ropes);

  // The tile's tokens are `count` from token `first` of the chunk on, at most kColumnTokens.
  void move_to(uint32_t first, size_t count);

  // `head`: the columns of one head of a layer of the section.
  void undo(const ColumnKernels& kernels, uint32_t layer, float* head) const;

 private:
  struct Table {
    bool used = false;
    std::vector<float> cosine, minus_sine;  // [frequency][kColumnTokens]
  };
  const Table* table_of(uint32_t layer) const;  // nullptr: the layer has no RoPE

  const SectionShape& shape_;
  std::span<const RopeAngles> ropes_;
  std::vector<Table> tables_;  // [rope of the profile]; empty: values
};

}  // namespace kvcast::kernels
