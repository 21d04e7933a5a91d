// What the symbols of a section stand for, in the forms that vector kernels take: coefficients of a
// lone base, small signed values of a base with passes, and the escaped values that take the places
// of escapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/entropy/rans_kernels.h"
#include "kernels/fault.h"
#include "kernels/plane.h"
#include "kernels/plane/section_planes.h"
#include "kernels/plane/section_shape.h"
#include "kernels/plane/section_walks.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

// How a section is decoded, by the number of its passes.
enum class ValueForm {
  kCoefficients,  // none: symbols are coefficients
  kFused,         // few: values stay in registers from pass to pass
  kIntegers,      // many: values in memory are refined pass by pass
};

class SectionValues {
 public:
  SectionValues(const Codec& codec, const SectionShape& shape, const SectionPlanes& planes);
  SectionValues(const SectionValues&) = delete;

  Check open();  // Fault: an escaped value that is too large
  ValueForm form() const { return form_; }

  // Of one class.
  const SymbolValues& symbols(uint8_t scale_class) { return of(scale_class).symbols; }
  const FusedCoefficients& fused(uint8_t scale_class) { return of(scale_class).fused; }
  Reconstruction reconstruction(uint8_t scale_class) const;
  uint16_t coefficient(uint8_t scale_class, int32_t value) const;

  // What escapes of a stream of the base become, for a group of that class; the kernels move it.
  EscapedValues& escaped(const PartStream& stream, uint8_t scale_class);
  int32_t escaped_value(const uint16_t* escaped) const {
    return escaped_[static_cast<size_t>(escaped - forms_.data())];
  }
  // After a group. Fault: more escapes than the stream's entry says, or fewer where it ended.
  Check check_escapes(const PartStream& stream) const;

  // A value too large for its form: kStandIn with its sign stands in for it and collects its bits.
  static constexpr int32_t kStandIn = 2;
  bool is_outlier(int32_t value) const { return value < -largest_ || value > largest_; }
  bool any_outlier() const { return any_outlier_; }

 private:
  struct OfClass {
    SymbolValues symbols;
    FusedCoefficients fused;
  };
  struct OfStream {
    EscapedValues left{};
    int scale_class = -1;  // that `left` is for
  };

  OfClass& of(uint8_t scale_class);
  uint16_t form_of(uint8_t scale_class, int32_t value) const;
  size_t index(const PartStream& stream) const {
    return static_cast<size_t>(stream.view - planes_.base.table.streams.data());
  }

  const Codec& codec_;
  const SectionShape& shape_;
  const SectionPlanes& planes_;
  ValueForm form_;
  uint16_t escape_;  // what an escape decodes to
  int32_t largest_;
  bool any_outlier_ = false;
  std::vector<std::unique_ptr<OfClass>> classes_;  // built when first asked for
  std::vector<int32_t> escaped_;
  std::vector<uint16_t> forms_;  // of `escaped_`, and as many more as a kernel may read
  std::vector<OfStream> streams_;
};

}  // namespace kvcast::kernels
