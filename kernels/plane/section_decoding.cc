#include "kernels/plane/section_decoding.h"

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

SymbolJob SectionDecoding::base_job(const Walk& walk, uint16_t* out) {
  const uint32_t g = walk.group();
  PartStream& base = *walk.stream(0);
  return {&base.cursor,
          &tables_of(g).base_registers,
          &values.symbols(class_of(g)),
          &values.escaped(base, class_of(g)),
          out,
          shape.lanes(g)};
}

Check SectionDecoding::check_escapes(Batch batch) const {
  for (const Walk* const walk : batch) {
    const PartStream* const base = walk->stream(0);
    if (!base) continue;
    if (Check check = values.check_escapes(*base); !check) return check;
  }
  return {};
}

void SectionDecoding::place_outlier(uint32_t g, size_t step, size_t lane, int32_t value,
                                    uint32_t collected) const {
  const uint32_t bits = collected - (magnitude(SectionValues::kStandIn) << passes());
  const auto refined = static_cast<int32_t>((magnitude(value) << passes()) + bits);
  coefficients_of(g)[step * row() + lane] =
      values.coefficient(class_of(g), value < 0 ? -refined : refined);
}

}  // namespace kvcast::kernels
