#include <algorithm>
#include <array>
#include <utility>

#include "kernels/bytes/writer.h"
#include "kernels/entropy/alias_table.h"
#include "kernels/entropy/encode_table.h"
#include "kernels/entropy/stream_batch.h"
#include "kernels/exact.h"
#include "kernels/exact/exponent_tables.h"
#include "kernels/exact/fields.h"
#include "kernels/exact/format.h"
#include "kernels/implementation/encode_kernels.h"

namespace kvcast::kernels {
namespace {

// One stream's states should stay under 1% of its payload: 64K exponents take some 20 KiB.
constexpr uint64_t kSymbolsPerStream = 65536;

struct Plane {
  uint32_t tokens = 0;
  uint32_t channels = 0;
  std::vector<uint8_t> exponents;  // [tokens][channels]

  std::span<const uint8_t> group_row(uint32_t token, uint32_t group) const {
    return std::span(exponents).subspan(size_t{token} * channels + size_t{group} * kLanes,
                                        lanes_of_group(group, channels));
  }
};

struct Stream {
  std::vector<std::byte> bytes;
  uint32_t groups = 0;
  uint32_t escapes = 0;
};

// Several counts of each exponent, so that equal neighbours need not wait for each other's.
std::vector<ExponentHistogram> histograms(const Plane& plane) {
  std::vector<ExponentHistogram> groups(channel_group_count(plane.channels));
  for (uint32_t g = 0; g < groups.size(); ++g) {
    std::array<ExponentHistogram, 4> parts{};
    for (uint32_t t = 0; t < plane.tokens; ++t) {
      const auto row = plane.group_row(t, g);
      for (size_t i = 0; i < row.size(); ++i) ++parts[i % parts.size()][row[i]];
    }
    for (uint32_t e = 0; e < kExponents; ++e)
      groups[g][e] = parts[0][e] + parts[1][e] + parts[2][e] + parts[3][e];
  }
  return groups;
}

// A channel group's symbols, [token][lane]; appends what escapes.
std::vector<uint8_t> group_symbols(const Plane& plane, uint32_t group, const ExponentTable& table,
                                   std::vector<uint8_t>& escaped) {
  std::array<uint8_t, kExponents> symbol_of;
  for (uint32_t e = 0; e < kExponents; ++e)
    symbol_of[e] = static_cast<uint8_t>(table.symbol(static_cast<uint8_t>(e)));
  const uint32_t lanes = lanes_of_group(group, plane.channels);
  std::vector<uint8_t> symbols(size_t{plane.tokens} * lanes);
  for (uint32_t t = 0; t < plane.tokens; ++t) {
    const auto row = plane.group_row(t, group);
    uint8_t* const to = symbols.data() + size_t{t} * lanes;
    uint32_t escapes = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      to[i] = symbol_of[row[i]];
      escapes += to[i] == table.escape();
    }
    for (size_t i = 0; escapes > 0 && i < row.size(); ++i) {
      if (to[i] == table.escape()) escaped.push_back(row[i]);
    }
  }
  return symbols;
}

// Streams of `groups_per_stream` groups each, the last perhaps of fewer.
std::vector<Stream> encode_plane(const Plane& plane, const ExponentTables& chosen,
                                 uint32_t groups_per_stream, std::vector<uint8_t>& escaped) {
  std::vector<AliasTable> alias;
  std::vector<EncodeTable> tables;
  for (const ExponentTable& table : chosen.tables) alias.emplace_back(table.frequency);
  for (const AliasTable& table : alias) tables.push_back(encode_table(table));
  std::vector<Stream> streams;
  std::vector<std::vector<GroupToEncode>> to_encode;
  std::vector<std::vector<uint8_t>> symbols;
  for (uint32_t g = 0; g < channel_group_count(plane.channels); ++g) {
    if (g % groups_per_stream == 0) {
      streams.emplace_back();
      to_encode.emplace_back();
    }
    const uint8_t table = chosen.table_of[g];
    const size_t escaped_before = escaped.size();
    symbols.push_back(group_symbols(plane, g, chosen.tables[table], escaped));
    to_encode.back().push_back(
        {&tables[table], symbols.back().data(), lanes_of_group(g, plane.channels)});
    ++streams.back().groups;
    streams.back().escapes += static_cast<uint32_t>(escaped.size() - escaped_before);
  }
  auto bytes = encode_streams(to_encode, plane.tokens,
                              encode_kernels(default_implementation()).encode_symbols);
  for (size_t i = 0; i < streams.size(); ++i) streams[i].bytes = std::move(bytes[i]);
  return streams;
}

std::vector<std::byte> pack_high_bits(std::span<const uint32_t> rest, RestLayout layout) {
  const uint32_t shift = layout.bits - layout.high_bits();
  std::vector<std::byte> packed((rest.size() * layout.high_bits() + 7) / 8);
  size_t bit = 0;
  for (const uint32_t value : rest) {
    for (uint32_t i = 0; i < layout.high_bits(); ++i, ++bit) {
      const uint32_t one = value >> (shift + i) & 1;
      packed[bit / 8] |= static_cast<std::byte>(one << bit % 8);
    }
  }
  return packed;
}

void write_tables(const ExponentTables& chosen, ByteWriter& writer) {
  for (const ExponentTable& table : chosen.tables) {
    writer.put(table.first_exponent);
    writer.put(static_cast<uint8_t>(table.frequency.size()));
    writer.put_zeros(2);
    writer.put_array(table.frequency);
    writer.pad(4);
  }
  writer.put_array(chosen.table_of);
  writer.pad(4);
}

void write_streams(std::span<const Stream> streams, ByteWriter& writer) {
  for (const Stream& stream : streams) {
    writer.put(static_cast<uint32_t>(stream.bytes.size()));
    writer.put(stream.groups);
    writer.put(stream.escapes);
  }
  for (const Stream& stream : streams) {
    writer.append(stream.bytes);
    writer.pad(4);
  }
}

void write_rest(std::span<const uint32_t> rest, RestLayout layout, ByteWriter& writer) {
  std::vector<uint8_t> bytes(rest.size());
  for (uint32_t plane = 0; plane < layout.byte_planes(); ++plane) {
    std::transform(rest.begin(), rest.end(), bytes.begin(),
                   [&](uint32_t value) { return static_cast<uint8_t>(value >> 8 * plane); });
    writer.put_array(bytes);
  }
  writer.append(pack_high_bits(rest, layout));
}

}  // namespace

std::vector<std::byte> encode_exact(DType dtype, uint32_t tokens, uint32_t channels,
                                    TensorView from) {
  Plane plane{tokens, channels, std::vector<uint8_t>(size_t{tokens} * channels)};
  std::vector<uint32_t> rest(plane.exponents.size());
  for (size_t t = 0; t < tokens; ++t) {
    split_row(dtype, from.data + t * from.token_stride_bytes,
              std::span(plane.exponents).subspan(t * channels, channels),
              std::span(rest).subspan(t * channels, channels));
  }
  const ExponentTables chosen = choose_exponent_tables(histograms(plane));
  const uint64_t group_symbols = std::max<uint64_t>(1, uint64_t{tokens} * kLanes);
  const auto groups_per_stream =
      static_cast<uint32_t>((kSymbolsPerStream + group_symbols - 1) / group_symbols);
  std::vector<uint8_t> escaped;
  const std::vector<Stream> streams = encode_plane(plane, chosen, groups_per_stream, escaped);

  ByteWriter writer;
  writer.put(static_cast<uint32_t>(streams.size()));
  writer.put(static_cast<uint32_t>(escaped.size()));
  writer.put(static_cast<uint32_t>(chosen.tables.size()));
  writer.put_zeros(4);
  write_tables(chosen, writer);
  write_streams(streams, writer);
  writer.put_array(escaped);
  writer.pad(4);
  write_rest(rest, rest_layout(dtype), writer);
  return std::move(writer).finish();
}

}  // namespace kvcast::kernels
