#include <string>

#include "kernels/bytes/reader.h"
#include "kernels/entropy/alias_table.h"
#include "kernels/entropy/rans.h"
#include "kernels/exact.h"
#include "kernels/exact/exponent_tables.h"
#include "kernels/exact/fields.h"
#include "kernels/exact/format.h"

namespace kvcast::kernels {
namespace {

struct Tables {
  std::vector<ExponentTable> exponents;
  std::vector<AliasTable> alias;
  std::vector<uint8_t> table_of;  // [groups]
};

struct StreamEntry {
  uint32_t bytes = 0, groups = 0, escapes = 0;
};

Tables read_tables(ByteReader& reader, uint32_t count, uint32_t groups, uint32_t exponents) {
  Tables tables;
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    ExponentTable table;
    table.first_exponent = reader.read<uint8_t>();
    const uint32_t alphabet = reader.read<uint8_t>();
    reader.expect_zeros(2);
    reader.require(alphabet >= 2 && alphabet <= kMaxAlphabet, "an alphabet is not 2 to 32");
    reader.require(table.first_exponent + alphabet <= exponents + 1,
                   "a table names exponents the type has not");
    table.frequency = reader.read_array<uint16_t>(alphabet);
    reader.expect_padding(4);
    if (!reader.ok()) break;
    reader.require(is_probability_table(table.frequency), "frequencies do not sum to 4096");
    if (!reader.ok()) break;
    tables.alias.emplace_back(table.frequency);
    tables.exponents.push_back(std::move(table));
  }
  tables.table_of = reader.read_array<uint8_t>(groups);
  for (const uint8_t table : tables.table_of)
    reader.require(table < count, "a group names a table that is not there");
  reader.expect_padding(4);
  return tables;
}

// Counts tile the groups and the escapes.
std::vector<StreamEntry> read_stream_table(ByteReader& reader, uint32_t streams, uint32_t groups,
                                           uint64_t escapes) {
  std::vector<StreamEntry> entries;
  uint64_t groups_left = groups;
  uint64_t escapes_left = escapes;
  for (uint32_t i = 0; i < streams && reader.ok(); ++i) {
    StreamEntry entry;
    entry.bytes = reader.read<uint32_t>();
    entry.groups = reader.read<uint32_t>();
    entry.escapes = reader.read<uint32_t>();
    reader.require(entry.groups >= 1 && entry.groups <= groups_left,
                   "a stream's groups do not tile the channels");
    reader.require(entry.escapes <= escapes_left, "streams hold more escapes than the section");
    groups_left -= reader.ok() ? entry.groups : 0;
    escapes_left -= reader.ok() ? entry.escapes : 0;
    entries.push_back(entry);
  }
  reader.require(groups_left == 0, "streams do not hold every group");
  reader.require(escapes_left == 0, "streams hold fewer escapes than the section");
  return entries;
}

// A channel group's symbols, decoded, as exponents of the plane. Escapes are taken from the front
// of `escaped`.
Check place_group(const ExponentTable& table, std::span<const uint8_t> symbols, uint32_t lanes,
                  std::span<const uint8_t>& escaped, uint8_t* exponents, uint32_t channels) {
  for (size_t i = 0; i < symbols.size(); ++i) {
    uint8_t& exponent = exponents[i / lanes * channels + i % lanes];
    exponent = static_cast<uint8_t>(table.first_exponent + symbols[i]);
    if (symbols[i] != table.escape()) continue;
    if (escaped.empty()) return Fault{"a stream decodes to more escapes than it lists"};
    exponent = escaped.front();
    escaped = escaped.subspan(1);
  }
  return {};
}

Check decode_stream(const Tables& tables, std::span<const std::byte> bytes,
                    const StreamEntry& entry, uint32_t first_group,
                    std::span<const uint8_t> escaped, uint32_t tokens, uint32_t channels,
                    std::vector<uint8_t>& exponents) {
  Checked<RansDecoder> decoder = RansDecoder::open(bytes, lanes_of_group(first_group, channels));
  if (!decoder) return decoder.fault();
  std::vector<uint8_t> symbols;
  for (uint32_t g = first_group; g < first_group + entry.groups; ++g) {
    const uint32_t lanes = lanes_of_group(g, channels);
    symbols.resize(size_t{tokens} * lanes);
    if (const Check run = decoder->decode(tables.alias[tables.table_of[g]], lanes, symbols); !run)
      return run;
    const Check placed = place_group(tables.exponents[tables.table_of[g]], symbols, lanes, escaped,
                                     exponents.data() + size_t{g} * kLanes, channels);
    if (!placed) return placed;
  }
  if (!escaped.empty()) return Fault{"a stream decodes to fewer escapes than it lists"};
  return decoder->finish();
}

// Adds the rest's bits of one row of tokens, elements [first, first + rest.size()) of the plane.
void gather_rest(std::span<const std::byte> planes, size_t elements, size_t first,
                 RestLayout layout, std::span<uint32_t> rest) {
  for (size_t i = 0; i < rest.size(); ++i) rest[i] = 0;
  for (uint32_t plane = 0; plane < layout.byte_planes(); ++plane) {
    const std::byte* from = planes.data() + plane * elements + first;
    for (size_t i = 0; i < rest.size(); ++i) rest[i] |= static_cast<uint32_t>(from[i]) << 8 * plane;
  }
  const std::span<const std::byte> packed = planes.subspan(layout.byte_planes() * elements);
  const uint32_t shift = 8 * layout.byte_planes();
  for (size_t i = 0; layout.high_bits() > 0 && i < rest.size(); ++i) {
    for (uint32_t b = 0; b < layout.high_bits(); ++b) {
      const size_t bit = (first + i) * layout.high_bits() + b;
      rest[i] |= (static_cast<uint32_t>(packed[bit / 8]) >> bit % 8 & 1) << (shift + b);
    }
  }
}

Check check_tail_bits(std::span<const std::byte> planes, size_t elements, RestLayout layout) {
  const size_t used = elements * layout.high_bits() % 8;
  if (used == 0 || static_cast<uint32_t>(planes.back()) >> used == 0) return {};
  return Fault{"unused bits of the last byte are not zero"};
}

}  // namespace

Check decode_exact(DType dtype, uint32_t tokens, uint32_t channels,
                   std::span<const std::byte> section, MutableTensorView to) {
  const uint64_t elements = uint64_t{tokens} * channels;
  if (tokens > kMaxExactTokens || channels > kMaxChannels || elements > kMaxExactElements) {
    return Fault{std::to_string(tokens) + " tokens of " + std::to_string(channels) +
                 " channels exceed 2^20 tokens, 65,536 channels or 2^31 elements"};
  }
  ByteReader reader(section);
  const uint32_t streams = reader.read<uint32_t>();
  const uint32_t escapes = reader.read<uint32_t>();
  const uint32_t table_count = reader.read<uint32_t>();
  const uint32_t groups = channel_group_count(channels);
  reader.require(streams <= groups, "more streams than channel groups");
  reader.require(escapes <= elements, "more escapes than elements");
  reader.require(table_count >= 1 && table_count <= kMaxExponentTables, "not 1 to 8 tables");
  reader.expect_zeros(4);
  const Tables tables = read_tables(reader, table_count, groups, exponent_count(dtype));
  const std::vector<StreamEntry> entries = read_stream_table(reader, streams, groups, escapes);
  std::vector<std::span<const std::byte>> payloads;
  std::vector<size_t> offsets;
  for (const StreamEntry& entry : entries) {
    offsets.push_back(reader.position());
    payloads.push_back(reader.take(entry.bytes));
    reader.expect_padding(4);
  }
  const std::vector<uint8_t> escaped = reader.read_array<uint8_t>(escapes);
  for (const uint8_t exponent : escaped)
    reader.require(exponent < exponent_count(dtype), "an escaped exponent the type has not");
  reader.expect_padding(4);
  const RestLayout layout = rest_layout(dtype);
  const std::span<const std::byte> planes =
      reader.take(layout.byte_planes() * elements + (layout.high_bits() * elements + 7) / 8);
  if (const Check whole = reader.finish(); !whole) return whole;
  if (const Check tail = check_tail_bits(planes, elements, layout); !tail) return tail;

  std::vector<uint8_t> exponents(elements);
  std::span<const uint8_t> escapes_left = escaped;
  uint32_t group = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Check stream =
        decode_stream(tables, payloads[i], entries[i], group,
                      escapes_left.first(entries[i].escapes), tokens, channels, exponents);
    if (!stream) {
      return Fault{"exponent stream " + std::to_string(i) + ": " + stream.fault().what,
                   offsets[i] + stream.fault().offset};
    }
    group += entries[i].groups;
    escapes_left = escapes_left.subspan(entries[i].escapes);
  }
  std::vector<uint32_t> rest(channels);
  for (size_t t = 0; t < tokens; ++t) {
    gather_rest(planes, elements, t * channels, layout, rest);
    join_row(dtype, std::span(exponents).subspan(t * channels, channels), rest,
             to.data + t * to.token_stride_bytes);
  }
  return {};
}

}  // namespace kvcast::kernels
