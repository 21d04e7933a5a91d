// Decodes groups of a section with few passes: values stay in registers from the base to the
// coefficient.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/entropy/rans_kernels.h"
#include "kernels/fault.h"
#include "kernels/plane/section_decoding.h"

namespace kvcast::kernels {

class FusedGroups {
 public:
  explicit FusedGroups(SectionDecoding& section) : section_(section) {}

  // 1 to kMaxFusedGroups walks. Where words run out, their cursors say so.
  Check decode(Batch batch);

 private:
  // Where outliers are found again.
  struct Trace {
    const uint16_t* first_escape;
    std::vector<uint8_t> refined;   // [coded token][32]
    std::vector<uint32_t> escapes;  // [coded token]: masks of lanes
  };

  void place_outliers(uint32_t g, const Trace& trace) const;

  SectionDecoding& section_;
  std::array<Trace, kMaxFusedGroups> traces_{};
};

}  // namespace kvcast::kernels
