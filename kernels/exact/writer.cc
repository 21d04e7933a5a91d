#include <algorithm>
#include <utility>

#include "kernels/bytes/writer.h"
#include "kernels/entropy/alias_table.h"
#include "kernels/entropy/rans.h"
#include "kernels/exact.h"
#include "kernels/exact/exponent_tables.h"
#include "kernels/exact/fields.h"
#include "kernels/exact/format.h"

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

std::vector<ExponentHistogram> histograms(const Plane& plane) {
  std::vector<ExponentHistogram> groups(channel_group_count(plane.channels));
  for (uint32_t g = 0; g < groups.size(); ++g) {
    groups[g].fill(0);
    for (uint32_t t = 0; t < plane.tokens; ++t) {
      for (const uint8_t exponent : plane.group_row(t, g)) ++groups[g][exponent];
    }
  }
  return groups;
}

std::vector<uint8_t> group_symbols(const Plane& plane, uint32_t group, const ExponentTable& table,
                                   std::vector<uint8_t>& escaped) {
  std::vector<uint8_t> symbols;
  symbols.reserve(size_t{plane.tokens} * kLanes);
  for (uint32_t t = 0; t < plane.tokens; ++t) {
    for (const uint8_t exponent : plane.group_row(t, group)) {
      const uint32_t symbol = table.symbol(exponent);
      if (symbol == table.escape()) escaped.push_back(exponent);
      symbols.push_back(static_cast<uint8_t>(symbol));
    }
  }
  return symbols;
}

Stream encode_stream(const Plane& plane, const ExponentTables& chosen,
                     std::span<const AliasTable> alias, uint32_t first_group, uint32_t end_group,
                     std::vector<uint8_t>& escaped) {
  const size_t escaped_before = escaped.size();
  std::vector<std::vector<uint8_t>> symbols;
  for (uint32_t g = first_group; g < end_group; ++g) {
    symbols.push_back(group_symbols(plane, g, chosen.tables[chosen.table_of[g]], escaped));
  }
  RansEncoder encoder(lanes_of_group(first_group, plane.channels));  // the widest comes first
  for (uint32_t g = end_group; g > first_group; --g) {
    encoder.encode(alias[chosen.table_of[g - 1]], lanes_of_group(g - 1, plane.channels),
                   symbols[g - 1 - first_group]);
  }
  return {encoder.finish(), end_group - first_group,
          static_cast<uint32_t>(escaped.size() - escaped_before)};
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
  std::vector<AliasTable> alias;
  for (const ExponentTable& table : chosen.tables) alias.emplace_back(table.frequency);

  const uint32_t groups = channel_group_count(channels);
  const uint64_t group_symbols = std::max<uint64_t>(1, uint64_t{tokens} * kLanes);
  const uint64_t groups_per_stream = (kSymbolsPerStream + group_symbols - 1) / group_symbols;
  std::vector<Stream> streams;
  std::vector<uint8_t> escaped;
  for (uint32_t g = 0; g < groups;) {
    const auto end = static_cast<uint32_t>(std::min<uint64_t>(groups, g + groups_per_stream));
    streams.push_back(encode_stream(plane, chosen, alias, g, end, escaped));
    g = end;
  }

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
