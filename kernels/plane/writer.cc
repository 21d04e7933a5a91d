#include "kernels/plane/writer.h"

#include <algorithm>

#include "kernels/bytes/writer.h"
#include "kernels/entropy/stream_batch.h"
#include "kernels/plane/layout.h"
#include "kernels/plane/stream_cut.h"

namespace kvcast::kernels {
namespace {

// The groups that are not empty in a part (0: base, k: pass k - 1), in coding order.
std::vector<CodedGroup> groups_of_part(const SectionSymbols& symbols, size_t part) {
  std::vector<CodedGroup> groups;
  for (uint32_t g = 0; g < symbols.choices.size(); ++g) {
    const ClassChoice& choice = symbols.choices[g];
    if (!choice.parts[part].empty)
      groups.push_back({g, choice.scale_class, choice.parts[part].bits});
  }
  std::stable_sort(groups.begin(), groups.end(), [](const CodedGroup& a, const CodedGroup& b) {
    return a.scale_class < b.scale_class;
  });
  return groups;
}

struct EncodedStream {
  std::span<const CodedGroup> groups;
  std::vector<std::byte> bytes;
};

void append_streams(std::span<const EncodedStream> streams, ByteWriter& out) {
  for (const EncodedStream& stream : streams) {
    out.append(stream.bytes);
    out.pad(4);
  }
}

bool fits_two_bytes(int32_t value) {
  return value == static_cast<int16_t>(value);
}

// `table(group)` answers the table of one group's symbols in this part.
template <typename TableOf>
std::vector<EncodedStream> encode_part(const Codec::Tables& tables, const SectionShape& shape,
                                       const SectionSymbols& symbols, size_t part,
                                       std::span<const CodedGroup> order, size_t entry_bytes,
                                       TableOf table) {
  std::vector<EncodedStream> encoded;
  std::vector<std::vector<GroupToEncode>> streams;
  for (const uint32_t count : cut_streams(order, kLanes * kStateBytes + entry_bytes)) {
    encoded.push_back({order.first(count), {}});
    std::vector<GroupToEncode>& stream = streams.emplace_back();
    for (const CodedGroup& group : order.first(count)) {
      stream.push_back({table(group), symbols.indices(shape, part, group.group).data(),
                        shape.lanes(group.group)});
    }
    order = order.subspan(count);
  }
  auto bytes = encode_streams(streams, shape.coded_tokens, tables.encoding->encode_symbols);
  for (size_t i = 0; i < encoded.size(); ++i) encoded[i].bytes = std::move(bytes[i]);
  return encoded;
}

}  // namespace

std::vector<std::byte> write_base(const Codec::Tables& tables, const SectionShape& shape,
                                  const SectionSymbols& symbols) {
  const auto encode_tables = tables.encode_tables.of(tables.classes);
  const std::vector<CodedGroup> order = groups_of_part(symbols, 0);
  const auto streams =
      encode_part(tables, shape, symbols, 0, order, kBaseStreamEntryBytes,
                  [&](const CodedGroup& group) { return &encode_tables[group.scale_class].base; });
  std::vector<int32_t> escaped;
  ByteWriter entries;
  for (const EncodedStream& stream : streams) {
    const size_t before = escaped.size();
    for (const CodedGroup& group : stream.groups) {
      const std::vector<int32_t>& values = symbols.escaped[group.group];
      escaped.insert(escaped.end(), values.begin(), values.end());
    }
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
  for (const ClassChoice& choice : symbols.choices) {
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
                const SectionSymbols& symbols, uint32_t pass, ByteWriter& out) {
  const auto encode_tables = tables.encode_tables.of(tables.classes);
  const std::vector<CodedGroup> order = groups_of_part(symbols, 1 + pass);
  const auto streams = encode_part(
      tables, shape, symbols, 1 + pass, order, kPassStreamEntryBytes,
      [&](const CodedGroup& group) { return &encode_tables[group.scale_class].passes[pass]; });

  out.put(static_cast<uint32_t>(streams.size()));
  std::vector<uint8_t> flags((shape.groups + 7) / 8);
  for (uint32_t g = 0; g < shape.groups; ++g) {
    if (symbols.choices[g].parts[1 + pass].empty) flags[g / 8] |= static_cast<uint8_t>(1u << g % 8);
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
