// Decodes groups of a section with many passes: values in memory are refined pass by pass.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/entropy/rans_kernels.h"
#include "kernels/fault.h"
#include "kernels/plane/section_decoding.h"

namespace kvcast::kernels {

class IntegerGroups {
 public:
  explicit IntegerGroups(SectionDecoding& section) : section_(section) {}

  // 1 to kMaxDecodeStreams walks. Where words run out, their cursors say so.
  Check decode(Batch batch);

 private:
  struct Outlier {
    size_t index;  // in the group's values
    int32_t value;
  };
  struct Group {
    std::vector<int16_t> values;  // [coded token][32]
    std::vector<Outlier> outliers;
  };

  void place_escapes(const uint16_t* escape, Group& group) const;
  void refine(Batch batch, size_t pass);
  void write(uint32_t g, const Group& group) const;

  SectionDecoding& section_;
  std::array<Group, kMaxDecodeStreams> groups_;
};

}  // namespace kvcast::kernels
