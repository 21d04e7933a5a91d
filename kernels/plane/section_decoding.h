// What the vector decoders of a section share, whatever the form of its values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/fault.h"
#include "kernels/plane.h"
#include "kernels/plane/section_planes.h"
#include "kernels/plane/section_shape.h"
#include "kernels/plane/section_values.h"
#include "kernels/plane/section_walks.h"
#include "kernels/plane/tables.h"

namespace kvcast::kernels {

// Walks whose groups are decoded together. A group of fewer than 32 lanes is alone.
using Batch = std::span<Walk* const>;

// A section under way. References what it is made of.
struct SectionDecoding {
  SectionDecoding(const Codec& of, const SectionShape& in_shape, const SectionPlanes& from,
                  std::span<uint16_t> to)
      : codec(of), shape(in_shape), planes(from), coefficients(to), values(of, in_shape, from) {}

  const Codec& codec;
  const SectionShape& shape;
  const SectionPlanes& planes;
  std::span<uint16_t> coefficients;  // [coded token][coefficient], bf16
  SectionValues values;

  const RansKernels& rans() const { return codec.tables().vectors->rans; }
  uint8_t class_of(uint32_t g) const { return planes.base.scale_class[g]; }
  const ClassTables& tables_of(uint32_t g) const { return codec.tables().classes[class_of(g)]; }
  size_t passes() const { return planes.passes.size(); }
  uint32_t steps() const { return shape.coded_tokens; }
  size_t row() const { return shape.coefficients; }
  uint16_t* coefficients_of(uint32_t g) const { return coefficients.data() + size_t{g} * kLanes; }

  // The base of the walk's group, which has symbols for it.
  SymbolJob base_job(const Walk& walk, uint16_t* out);
  // After a batch. Fault: escapes do not agree with the streams' entries.
  Check check_escapes(Batch batch) const;
  // Writes the coefficient of a value that a stand-in was decoded for (SectionValues::is_outlier).
  // `collected`: the stand-in's magnitude after all passes.
  void place_outlier(uint32_t g, size_t step, size_t lane, int32_t value, uint32_t collected) const;
};

}  // namespace kvcast::kernels
