#include "kernels/plane/narrow_group.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

Check decode_base(const ClassTables& tables, uint8_t scale_class, uint32_t lanes,
                  PartStream& stream, SectionValues& section, std::span<int32_t> values) {
  std::vector<uint8_t> symbols(values.size());
  if (Check check = stream.decoder.decode(tables.base, lanes, symbols); !check)
    return stream.at(check.fault());
  stream.cursor = stream.decoder.cursor();
  EscapedValues& escaped = section.escaped(stream, scale_class);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = symbols[i] - tables.largest();
    if (symbols[i] != tables.escape()) continue;
    if (escaped.next < escaped.end) values[i] = section.escaped_value(escaped.next);
    ++escaped.next;
  }
  return section.check_escapes(stream);
}

Check refine_values(const std::array<AliasTable, 3>& tables, uint32_t lanes, PartStream& stream,
                    std::span<int32_t> values) {
  std::vector<uint8_t> contexts(values.size()), symbols(values.size());
  for (size_t i = 0; i < values.size(); ++i) contexts[i] = refinement_context(values[i]);
  const std::array<const AliasTable*, 3> pointers = {&tables[0], &tables[1], &tables[2]};
  if (Check check = stream.decoder.decode(pointers, contexts, lanes, symbols); !check)
    return stream.at(check.fault());
  stream.cursor = stream.decoder.cursor();
  for (size_t i = 0; i < values.size(); ++i) values[i] = refine(values[i], symbols[i]);
  return {};
}

}  // namespace

Check decode_narrow_group(SectionDecoding& section, Walk& walk) {
  const uint32_t g = walk.group(), lanes = section.shape.lanes(g);
  const uint8_t scale_class = section.class_of(g);
  const ClassTables& tables = section.tables_of(g);
  std::vector<int32_t> values(size_t{section.steps()} * lanes);
  if (PartStream* const base = walk.stream(0)) {
    if (Check check = decode_base(tables, scale_class, lanes, *base, section.values, values);
        !check) {
      return check;
    }
  }
  for (size_t part = 1; part < walk.parts(); ++part) {
    PartStream* const stream = walk.stream(part);
    if (!stream) {
      for (int32_t& value : values) value = refine(value, 0);
    } else if (Check check = refine_values(tables.passes[part - 1], lanes, *stream, values);
               !check) {
      return check;
    }
  }
  std::vector<uint16_t> bf16(values.size());
  reconstruct(section.values.reconstruction(scale_class), values, bf16);
  for (uint32_t t = 0; t < section.steps(); ++t) {
    std::copy_n(bf16.data() + size_t{t} * lanes, lanes,
                section.coefficients_of(g) + t * section.row());
  }
  return {};
}

}  // namespace kvcast::kernels
