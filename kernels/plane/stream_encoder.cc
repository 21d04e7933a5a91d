#include "kernels/plane/stream_encoder.h"

#include <algorithm>
#include <array>
#include <memory>

#include "kernels/entropy/rans.h"

namespace kvcast::kernels {
namespace {

// A stream under way. Groups are coded from the last to the first.
struct OpenStream {
  std::span<const CodedGroup> groups;
  RansEncoder encoder;
  size_t left;  // groups
  std::unique_ptr<uint8_t[]> symbols;

  const CodedGroup& next() const { return groups[left - 1]; }
};

OpenStream open_stream(const SectionShape& shape, std::span<const CodedGroup> groups) {
  uint32_t lanes = 0;
  for (const CodedGroup& group : groups) lanes = std::max(lanes, shape.lanes(group.group));
  const size_t most_symbols = size_t{kLanes} * shape.coded_tokens;
  OpenStream stream{groups, RansEncoder(lanes), groups.size(),
                    std::make_unique_for_overwrite<uint8_t[]>(most_symbols)};
  stream.encoder.make_room(most_symbols * groups.size());
  return stream;
}

// Codes the next group of the first stream that has one left, and of those that go with it. False:
// none is left.
bool encode_next(const SectionShape& shape, std::span<OpenStream> streams,
                 const GroupSymbols& symbols, EncodeSymbols kernel) {
  std::array<EncodeJob, kMaxLockstep> jobs;
  uint32_t count = 0, lanes = 0, scale_class = 0;
  const EncodeTable* table = nullptr;
  for (OpenStream& stream : streams) {
    if (stream.left == 0) continue;
    const CodedGroup& group = stream.next();
    const uint32_t group_lanes = shape.lanes(group.group);
    if (count == 0) {
      lanes = group_lanes;
      scale_class = group.scale_class;
      table = &symbols.table(group);
    } else if (lanes < kLanes || group_lanes < kLanes || group.scale_class != scale_class) {
      continue;
    }
    const size_t size = size_t{lanes} * shape.coded_tokens;
    symbols.write(group, {stream.symbols.get(), size});
    jobs[count++] = {&stream.encoder.make_room(size), stream.symbols.get()};
    --stream.left;
  }
  if (count > 0) kernel(*table, jobs.data(), count, shape.coded_tokens, lanes);
  return count > 0;
}

}  // namespace

std::vector<EncodedStream> encode_streams(const SectionShape& shape,
                                          std::span<const CodedGroup> order, size_t overhead_bytes,
                                          const GroupSymbols& symbols, EncodeSymbols kernel) {
  std::vector<EncodedStream> encoded;
  std::vector<OpenStream> open;
  const auto close = [&] {
    while (encode_next(shape, open, symbols, kernel)) {
    }
    for (const OpenStream& stream : open)
      encoded.push_back({stream.groups, stream.encoder.finish()});
    open.clear();
  };
  for (const uint32_t count : cut_streams(order, overhead_bytes)) {
    open.push_back(open_stream(shape, order.first(count)));
    order = order.subspan(count);
    if (open.size() == kMaxLockstep) close();
  }
  close();
  return encoded;
}

}  // namespace kvcast::kernels
