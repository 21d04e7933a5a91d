// Writes base sections and passes of refinement sections: kernels/plane_format.md, section 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/bytes/writer.h"
#include "kernels/plane/class_choice.h"
#include "kernels/plane/section_shape.h"
#include "kernels/plane/tables.h"

namespace kvcast::kernels {

// A section quantised and its classes chosen.
struct QuantisedSection {
  std::vector<int32_t> q;            // finest values, [channel group][coded token][lane]
  std::vector<ClassChoice> choices;  // [channel group]
  uint32_t dropped_bits = 0;         // of the base

  std::span<const int32_t> group(const SectionShape& shape, uint32_t g) const {
    return std::span(q).subspan(size_t{g} * kLanes * shape.coded_tokens,
                                size_t{shape.lanes(g)} * shape.coded_tokens);
  }
};

std::vector<std::byte> write_base(const Codec::Tables& tables, const SectionShape& shape,
                                  const QuantisedSection& section);

// Appends pass `pass`, counted from the base.
void write_pass(const Codec::Tables& tables, const SectionShape& shape,
                const QuantisedSection& section, uint32_t pass, ByteWriter& out);

}  // namespace kvcast::kernels
