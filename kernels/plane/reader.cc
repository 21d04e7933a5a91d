#include "kernels/plane/reader.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "kernels/bytes/reader.h"
#include "kernels/plane/layout.h"

namespace kvcast::kernels {
namespace {

// The stream table and the streams it announces. `coded`: the non-empty groups, in coding order.
void read_streams(const SectionShape& shape, std::span<const uint32_t> coded, uint32_t count,
                  bool base, ByteReader& reader, std::vector<StreamView>& streams) {
  reader.require(count <= coded.size(), "more streams than channel groups that are not empty");
  const auto entries = reader.read_array<uint32_t>(uint64_t{count} * (base ? 3 : 2));
  for (size_t e = 0; reader.ok() && e < entries.size(); e += base ? 3 : 2) {
    const uint32_t groups = entries[e + 1];
    if (groups < 1 || groups > coded.size()) {
      return reader.fail("stream of " + std::to_string(groups) + " channel groups, expected 1 to " +
                         std::to_string(coded.size()));
    }
    StreamView stream;
    stream.groups = groups;
    stream.escapes = base ? entries[e + 2] : 0;
    for (const uint32_t g : coded.first(groups))
      stream.lanes = std::max(stream.lanes, shape.lanes(g));
    coded = coded.subspan(groups);
    streams.push_back(stream);
  }
  reader.require(coded.empty(), "a channel group that is not empty is in no stream");
  for (size_t s = 0; reader.ok() && s < streams.size(); ++s) {
    streams[s].offset = reader.position();
    streams[s].bytes = reader.take(entries[s * (base ? 3 : 2)]);
    reader.expect_padding(4);
  }
}

std::vector<uint32_t> not_empty(std::span<const uint32_t> coding_order,
                                const std::vector<uint8_t>& empty) {
  std::vector<uint32_t> groups;
  for (const uint32_t g : coding_order) {
    if (!empty[g]) groups.push_back(g);
  }
  return groups;
}

void read_group_bytes(const SectionShape& shape, size_t classes, ByteReader& reader,
                      BaseView& base) {
  for (const std::byte byte : reader.take(shape.groups)) {
    const auto bits = static_cast<uint8_t>(byte);
    base.scale_class.push_back(bits & kClassMask);
    base.table.empty.push_back((bits & kEmptyFlag) != 0);
    reader.require((bits & kReservedFlag) == 0, "bit 6 of a channel group's byte is not zero");
    reader.require(base.scale_class.back() < classes,
                   "a channel group's class is not in the profile");
    reader.require(shape.coded_tokens > 0 || base.table.empty.back(),
                   "a channel group without tokens is not empty");
  }
  reader.expect_padding(4);
  base.coding_order.resize(base.scale_class.size());
  std::iota(base.coding_order.begin(), base.coding_order.end(), 0u);
  std::stable_sort(base.coding_order.begin(), base.coding_order.end(), [&](uint32_t a, uint32_t b) {
    return base.scale_class[a] < base.scale_class[b];
  });
}

void read_escapes(uint32_t count, ByteReader& reader, BaseView& base) {
  uint64_t in_streams = 0;
  for (const StreamView& stream : base.table.streams) in_streams += stream.escapes;
  reader.require(in_streams == count, "the streams' escapes are not the section's");
  base.escapes_offset = reader.position();
  base.escapes = reader.take(uint64_t{count} * base.escape_bytes);
}

void read_pass(const SectionShape& shape, std::span<const uint32_t> coding_order,
               ByteReader& reader, StreamTable& pass) {
  const auto streams = reader.read<uint32_t>();
  const auto flags = reader.read_array<uint8_t>((uint64_t{shape.groups} + 7) / 8);
  reader.expect_padding(4);
  if (!reader.ok()) return;
  for (size_t g = 0; g < flags.size() * 8; ++g) {
    const bool flag = (flags[g / 8] >> g % 8 & 1) != 0;
    if (g < shape.groups) {
      pass.empty.push_back(flag);
      reader.require(shape.coded_tokens > 0 || flag, "a channel group without tokens is not empty");
    } else {
      reader.require(!flag, "an unused empty flag is not zero");
    }
  }
  read_streams(shape, not_empty(coding_order, pass.empty), streams, false, reader, pass.streams);
}

}  // namespace

Checked<BaseView> read_base(const SectionShape& shape, size_t classes,
                            std::span<const std::byte> section) {
  ByteReader reader(section);
  const auto streams = reader.read<uint32_t>();
  const auto escapes = reader.read<uint32_t>();
  const auto groups = reader.read<uint32_t>();
  BaseView base;
  base.escape_bytes = reader.read<uint8_t>();
  reader.expect_zeros(3);
  reader.require(groups == shape.groups, "the number of channel groups is not the profile's");
  reader.require(base.escape_bytes == 2 || (base.escape_bytes == 4 && escapes > 0),
                 "escape width is neither 2 nor, where there are escapes, 4");
  read_group_bytes(shape, classes, reader, base);
  if (!reader.ok()) return reader.fault();
  read_streams(shape, not_empty(base.coding_order, base.table.empty), streams, true, reader,
               base.table.streams);
  read_escapes(escapes, reader, base);
  if (Check check = reader.finish(); !check) return check.fault();
  return base;
}

Checked<std::vector<StreamTable>> read_refinement(const SectionShape& shape,
                                                  std::span<const uint32_t> coding_order,
                                                  uint32_t passes,
                                                  std::span<const std::byte> section) {
  ByteReader reader(section);
  std::vector<StreamTable> tables(passes);
  for (StreamTable& pass : tables) read_pass(shape, coding_order, reader, pass);
  if (Check check = reader.finish(); !check) return check.fault();
  return tables;
}

Check StreamWalker::next_group() {
  if (decoder_ && group_ < stream().groups) {
    ++group_;
    return {};
  }
  if (decoder_) {
    if (Check check = decoder_->finish(); !check) return at(check.fault());
    ++stream_;
  }
  auto opened = RansDecoder::open(stream().bytes, stream().lanes);
  if (!opened) return at(opened.fault());
  decoder_ = *opened;
  group_ = 1;
  return {};
}

Check StreamWalker::finish() const {
  if (!decoder_) return {};
  if (Check check = decoder_->finish(); !check) return at(check.fault());
  return {};
}

}  // namespace kvcast::kernels
