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

// A section quantised, its classes chosen, as symbols. Part 0 is the base, part k pass k - 1.
struct SectionSymbols {
  std::vector<ClassChoice> choices;           // [channel group]
  std::vector<std::vector<int32_t>> escaped;  // [channel group]: values the base escapes
  std::vector<std::span<uint8_t>> parts;      // [part]: symbol indices, [channel group][step][lane]

  std::span<uint8_t> indices(const SectionShape& shape, size_t part, uint32_t group) const {
    return parts[part].subspan(size_t{group} * kLanes * shape.coded_tokens,
                               size_t{shape.lanes(group)} * shape.coded_tokens);
  }
};

std::vector<std::byte> write_base(const Codec::Tables& tables, const SectionShape& shape,
                                  const SectionSymbols& symbols);

// Appends pass `pass`, counted from the base.
void write_pass(const Codec::Tables& tables, const SectionShape& shape,
                const SectionSymbols& symbols, uint32_t pass, ByteWriter& out);

}  // namespace kvcast::kernels
