#include "kernels/plane/writer.h"

#include <algorithm>

#include "kernels/bytes/writer.h"
#include "kernels/entropy/rans.h"
#include "kernels/plane/layout.h"
#include "kernels/plane/stream_cut.h"
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

struct Stream {
  std::span<const CodedGroup> groups;
  std::vector<std::byte> bytes;
};

// `encode_group(encoder, group)` gives the encoder all steps of one group.
template <typename EncodeGroup>
std::vector<Stream> encode_streams(const SectionShape& shape, std::span<const CodedGroup> order,
                                   size_t entry_bytes, EncodeGroup encode_group) {
  std::vector<Stream> streams;
  for (const uint32_t count : cut_streams(order, kLanes * kStateBytes + entry_bytes)) {
    const auto groups = order.first(count);
    uint32_t lanes = 0;
    for (const CodedGroup& group : groups) lanes = std::max(lanes, shape.lanes(group.group));
    RansEncoder encoder(lanes);
    for (auto group = groups.rbegin(); group != groups.rend(); ++group)
      encode_group(encoder, *group);
    streams.push_back({groups, encoder.finish()});
    order = order.subspan(count);
  }
  return streams;
}

void append_streams(std::span<const Stream> streams, ByteWriter& out) {
  for (const Stream& stream : streams) {
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

std::vector<Stream> encode_base(const SectionShape& shape, std::span<const ClassTables> classes,
                                const QuantisedSection& section,
                                std::span<const CodedGroup> order) {
  std::vector<uint8_t> symbols;
  return encode_streams(shape, order, kBaseStreamEntryBytes,
                        [&](RansEncoder& encoder, const CodedGroup& group) {
                          const ClassTables& tables = classes[group.scale_class];
                          const auto q = section.group(shape, group.group);
                          symbols.resize(q.size());
                          const int32_t largest = tables.largest();
                          const uint32_t bits = section.dropped_bits;
                          const uint8_t escape = tables.escape();
                          // Without jumps, so that compilers vectorise it.
                          for (size_t i = 0; i < q.size(); ++i) {
                            const int32_t value = drop_bits(q[i], bits);
                            const bool near = (value >= -largest) & (value <= largest);
                            symbols[i] = near ? static_cast<uint8_t>(value + largest) : escape;
                          }
                          encoder.encode(tables.base, shape.lanes(group.group), symbols);
                        });
}

}  // namespace

std::vector<std::byte> write_base(const SectionShape& shape, std::span<const ClassTables> classes,
                                  const QuantisedSection& section) {
  const std::vector<CodedGroup> order = groups_of_part(section, 0);
  const std::vector<Stream> streams = encode_base(shape, classes, section, order);
  std::vector<int32_t> escaped;
  ByteWriter entries;
  for (const Stream& stream : streams) {
    const size_t before = escaped.size();
    collect_escapes(shape, classes, section, stream.groups, escaped);
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

void write_pass(const SectionShape& shape, std::span<const ClassTables> classes,
                const QuantisedSection& section, uint32_t pass, ByteWriter& out) {
  const uint32_t bits_before = section.dropped_bits - pass;
  const std::vector<CodedGroup> order = groups_of_part(section, 1 + pass);
  std::vector<uint8_t> contexts, symbols;
  const std::vector<Stream> streams = encode_streams(
      shape, order, kPassStreamEntryBytes, [&](RansEncoder& encoder, const CodedGroup& group) {
        const auto& tables = classes[group.scale_class].passes[pass];
        const auto q = section.group(shape, group.group);
        contexts.resize(q.size());
        symbols.resize(q.size());
        for (size_t i = 0; i < q.size(); ++i) {
          const int32_t before = drop_bits(q[i], bits_before);
          contexts[i] = refinement_context(before);
          symbols[i] = refinement_symbol(before, drop_bits(q[i], bits_before - 1));
        }
        const std::array<const AliasTable*, 3> pointers = {&tables[0], &tables[1], &tables[2]};
        encoder.encode(pointers, contexts, shape.lanes(group.group), symbols);
      });

  out.put(static_cast<uint32_t>(streams.size()));
  std::vector<uint8_t> flags((shape.groups + 7) / 8);
  for (uint32_t g = 0; g < shape.groups; ++g) {
    if (section.choices[g].parts[1 + pass].empty) flags[g / 8] |= static_cast<uint8_t>(1u << g % 8);
  }
  out.put_array(flags);
  out.pad(4);
  for (const Stream& stream : streams) {
    out.put(static_cast<uint32_t>(stream.bytes.size()));
    out.put(static_cast<uint32_t>(stream.groups.size()));
  }
  append_streams(streams, out);
}

}  // namespace kvcast::kernels
