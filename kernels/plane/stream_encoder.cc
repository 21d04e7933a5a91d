#include "kernels/plane/stream_encoder.h"

#include <algorithm>

#include "kernels/entropy/rans.h"

namespace kvcast::kernels {
namespace {

constexpr size_t kWindow = 16;  // streams considered together

// A stream under way. Groups are coded from the last to the first.
struct OpenStream {
  std::span<const CodedGroup> groups;
  RansEncoder encoder;
  size_t left;  // groups

  const CodedGroup& next() const { return groups[left - 1]; }
};

OpenStream open_stream(const SectionShape& shape, std::span<const CodedGroup> groups) {
  uint32_t lanes = 0;
  for (const CodedGroup& group : groups) lanes = std::max(lanes, shape.lanes(group.group));
  OpenStream stream{groups, RansEncoder(lanes), groups.size()};
  stream.encoder.make_room(size_t{kLanes} * shape.coded_tokens * groups.size());
  return stream;
}

// Codes the next groups of some streams together, those with most groups left. False: none is left.
bool encode_next(const SectionShape& shape, std::span<OpenStream> streams,
                 const GroupSymbols& symbols, EncodeSymbols kernel) {
  std::vector<OpenStream*> together;
  for (OpenStream& stream : streams) {
    if (stream.left > 0) together.push_back(&stream);
  }
  if (together.empty()) return false;
  std::stable_sort(together.begin(), together.end(),
                   [](const OpenStream* a, const OpenStream* b) { return a->left > b->left; });
  const auto narrow = std::find_if(together.begin(), together.end(), [&](const OpenStream* stream) {
    return shape.lanes(stream->next().group) < kLanes;
  });
  if (narrow != together.end()) together = {*narrow};
  together.resize(std::min<size_t>(together.size(), kMaxEncodeStreams));

  const uint32_t lanes = shape.lanes(together[0]->next().group);
  const size_t size = size_t{lanes} * shape.coded_tokens;
  std::vector<EncodeJob> jobs;
  for (OpenStream* const stream : together) {
    const CodedGroup& group = stream->next();
    jobs.push_back(
        {symbols.table(group), &stream->encoder.make_room(size), symbols.indices(group).data()});
    --stream->left;
  }
  kernel(jobs.data(), static_cast<uint32_t>(jobs.size()), shape.coded_tokens, lanes);
  return true;
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
    if (open.size() == kWindow) close();
  }
  close();
  return encoded;
}

}  // namespace kvcast::kernels
