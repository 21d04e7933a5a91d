#include "kernels/entropy/stream_batch.h"

#include <algorithm>

#include "kernels/entropy/rans.h"

namespace kvcast::kernels {
namespace {

constexpr size_t kWindow = 64;  // streams considered together

// A stream under way. Groups are coded from the last to the first.
struct OpenStream {
  std::span<const GroupToEncode> groups;
  RansEncoder encoder;
  size_t left;  // groups

  const GroupToEncode& next() const { return groups[left - 1]; }
};

OpenStream open_stream(std::span<const GroupToEncode> groups, uint32_t steps) {
  uint32_t lanes = 0;
  for (const GroupToEncode& group : groups) lanes = std::max(lanes, group.lanes);
  OpenStream stream{groups, RansEncoder(lanes), groups.size()};
  stream.encoder.make_room(size_t{kLanes} * steps * groups.size());
  return stream;
}

// Codes the next groups of some streams together, those with most groups left. False: none is left.
bool encode_next(std::span<OpenStream> streams, uint32_t steps, EncodeSymbols kernel) {
  std::vector<OpenStream*> together;
  for (OpenStream& stream : streams) {
    if (stream.left > 0) together.push_back(&stream);
  }
  if (together.empty()) return false;
  std::stable_sort(together.begin(), together.end(),
                   [](const OpenStream* a, const OpenStream* b) { return a->left > b->left; });
  const auto narrow = std::find_if(together.begin(), together.end(), [](const OpenStream* stream) {
    return stream->next().lanes < kLanes;
  });
  if (narrow != together.end()) together = {*narrow};
  together.resize(std::min<size_t>(together.size(), kMaxEncodeStreams));

  const uint32_t lanes = together[0]->next().lanes;
  std::vector<EncodeJob> jobs;
  for (OpenStream* const stream : together) {
    const GroupToEncode& group = stream->next();
    jobs.push_back({group.table, &stream->encoder.make_room(size_t{lanes} * steps), group.indices});
    --stream->left;
  }
  kernel(jobs.data(), static_cast<uint32_t>(jobs.size()), steps, lanes);
  return true;
}

}  // namespace

std::vector<std::vector<std::byte>> encode_streams(
    std::span<const std::vector<GroupToEncode>> streams, uint32_t steps, EncodeSymbols kernel) {
  std::vector<std::vector<std::byte>> encoded;
  while (!streams.empty()) {
    std::vector<OpenStream> open;
    for (const auto& groups : streams.first(std::min(kWindow, streams.size())))
      open.push_back(open_stream(groups, steps));
    while (encode_next(open, steps, kernel)) {
    }
    for (const OpenStream& stream : open) encoded.push_back(stream.encoder.finish());
    streams = streams.subspan(open.size());
  }
  return encoded;
}

}  // namespace kvcast::kernels
