#include "kernels/plane/writer.h"

#include <algorithm>

#include "kernels/bytes/writer.h"
#include "kernels/plane/layout.h"
#include "kernels/plane/stream_cut.h"
#include "kernels/plane/stream_encoder.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

// The groups that are not empty in a part (0: base, k: pass k - 1), in coding order.
std::vector<CodedGroup> groups_of_part(const QuantisedSection& section, size_t part) {
  std::vector<CodedGroup> groups;
  for (uint32_t g = 0; g < section.choices.size(); ++g) {
    const ClassChoice& choice = section.choices[g];
    if (!choice.parts[part].empty)
      groups.push_back({g, choice.scale_class, choice.parts[part].bits});
  }
  std::stable_sort(groups.begin(), groups.end(), [](const CodedGroup& a, const CodedGroup& b) {
    return a.scale_class < b.scale_class;
  });
  return groups;
}

void append_streams(std::span<const EncodedStream> streams, ByteWriter& out) {
  for (const EncodedStream& stream : streams) {
    out.append(stream.bytes);
    out.pad(4);
  }
}

bool fits_two_bytes(int32_t value) {
  return value == static_cast<int16_t>(value);
}

bool escapes(int32_t value, const ClassTables& tables) {
  return value < -tables.largest() || value > tables.largest();
}

// Appends the escaped values of one stream.
void collect_escapes(const SectionShape& shape, std::span<const ClassTables> classes,
                     const QuantisedSection& section, std::span<const CodedGroup> groups,
                     std::vector<int32_t>& values) {
  for (const CodedGroup& group : groups) {
    if (section.choices[group.group].escapes == 0) continue;
    for (const int32_t finest : section.group(shape, group.group)) {
      const int32_t value = drop_bits(finest, section.dropped_bits);
      if (escapes(value, classes[group.scale_class])) values.push_back(value);
    }
  }
}

std::vector<EncodedStream> encode_base(const Codec::Tables& tables, const SectionShape& shape,
                                       const QuantisedSection& section,
                                       std::span<const CodedGroup> order) {
  const auto encode_tables = tables.encode_tables.of(tables.classes);
  const GroupSymbols symbols{[&](const CodedGroup& group) -> const EncodeTable& {
                               return encode_tables[group.scale_class].base;
                             },
                             [&](const CodedGroup& group, std::span<uint8_t> to) {
                               tables.encoding->quantising->base_symbols(
                                   section.group(shape, group.group).data(), to.size(),
                                   section.dropped_bits,
                                   tables.classes[group.scale_class].largest(), to.data());
                             }};
  return encode_streams(shape, order, kLanes * kStateBytes + kBaseStreamEntryBytes, symbols,
                        tables.encoding->encode_symbols);
}

std::vector<EncodedStream> encode_pass(const Codec::Tables& tables, const SectionShape& shape,
                                       const QuantisedSection& section, uint32_t pass) {
  const auto encode_tables = tables.encode_tables.of(tables.classes);
  const GroupSymbols symbols{[&](const CodedGroup& group) -> const EncodeTable& {
                               return encode_tables[group.scale_class].passes[pass];
                             },
                             [&](const CodedGroup& group, std::span<uint8_t> to) {
                               tables.encoding->quantising->pass_symbols(
                                   section.group(shape, group.group).data(), to.size(),
                                   section.dropped_bits - pass, to.data());
                             }};
  return encode_streams(shape, groups_of_part(section, 1 + pass),
                        kLanes * kStateBytes + kPassStreamEntryBytes, symbols,
                        tables.encoding->encode_symbols);
}

}  // namespace

std::vector<std::byte> write_base(const Codec::Tables& tables, const SectionShape& shape,
                                  const QuantisedSection& section) {
  const std::vector<CodedGroup> order = groups_of_part(section, 0);
  const std::vector<EncodedStream> streams = encode_base(tables, shape, section, order);
  std::vector<int32_t> escaped;
  ByteWriter entries;
  for (const EncodedStream& stream : streams) {
    const size_t before = escaped.size();
    collect_escapes(shape, tables.classes, section, stream.groups, escaped);
    entries.put(static_cast<uint32_t>(stream.bytes.size()));
    entries.put(static_cast<uint32_t>(stream.groups.size()));
    entries.put(static_cast<uint32_t>(escaped.size() - before));
  }
  const bool wide = !std::all_of(escaped.begin(), escaped.end(), fits_two_bytes);

  ByteWriter out;
  out.put(static_cast<uint32_t>(streams.size()));
  out.put(static_cast<uint32_t>(escaped.size()));
  out.put(shape.groups);
  out.put(static_cast<uint8_t>(wide ? 4 : 2));
  out.put_zeros(3);
  for (const ClassChoice& choice : section.choices) {
    out.put(static_cast<uint8_t>(choice.scale_class | (choice.parts[0].empty ? kEmptyFlag : 0)));
  }
  out.pad(4);
  out.append(std::move(entries).finish());
  append_streams(streams, out);
  if (wide) {
    out.put_array(escaped);
  } else {
    out.put_array(std::vector<int16_t>(escaped.begin(), escaped.end()));
  }
  return std::move(out).finish();
}

void write_pass(const Codec::Tables& tables, const SectionShape& shape,
                const QuantisedSection& section, uint32_t pass, ByteWriter& out) {
  const std::vector<EncodedStream> streams = encode_pass(tables, shape, section, pass);
  out.put(static_cast<uint32_t>(streams.size()));
  std::vector<uint8_t> flags((shape.groups + 7) / 8);
  for (uint32_t g = 0; g < shape.groups; ++g) {
    if (section.choices[g].parts[1 + pass].empty) flags[g / 8] |= static_cast<uint8_t>(1u << g % 8);
  }
  out.put_array(flags);
  out.pad(4);
  for (const EncodedStream& stream : streams) {
    out.put(static_cast<uint32_t>(stream.bytes.size()));
    out.put(static_cast<uint32_t>(stream.groups.size()));
  }
  append_streams(streams, out);
}

}  // namespace kvcast::kernels
