#include "packager/encode/chunk_encoder.h"

#include <algorithm>
#include <utility>

namespace kvcast::packager {

using kernels::Side;
using manifests::Status;

ChunkEncoder::ChunkEncoder(ObjectStore& store, const KvSource& source, const kernels::Codec& codec,
                           const manifests::Digest& profile_digest, bool exact,
                           std::vector<manifests::ChunkEntry>& chunks)
    : store_(store),
      source_(source),
      codec_(codec),
      profile_digest_(profile_digest),
      exact_(exact),
      chunks_(chunks) {
  for (uint32_t group = 0; group < codec.profile().groups.size(); ++group) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      if (source.geometry().channels(side) > 0) sections_.emplace_back(group, side);
    }
  }
}

SectionJob ChunkEncoder::job(size_t index) const {
  const auto chunk = static_cast<uint32_t>(index / sections_.size());
  const auto [group, side] = sections_[index % sections_.size()];
  const manifests::ChunkEntry& entry = chunks_[chunk];
  const auto count = static_cast<uint32_t>(entry.token_end - entry.token_begin);
  return {chunk, group, side, {entry.token_begin, count}};
}

Status ChunkEncoder::accept(const SectionJob& job, EncodedJob encoded) {
  if (!current_) {
    auto objects = ChunkObjects::create(store_, source_, codec_.profile(), profile_digest_,
                                        job.tokens, exact_);
    if (!objects.ok()) return objects.error();
    current_.emplace(std::move(*objects));
  }
  if (non_finite_.elements == 0) non_finite_.first = std::move(encoded.first_non_finite);
  non_finite_.elements += encoded.non_finite_elements;
  return current_->append(job, std::move(encoded));
}

void ChunkEncoder::work(TaskOrder& order, const std::function<void(uint64_t)>& on_encoded) {
  while (const auto index = order.take()) {
    const SectionJob job = this->job(*index);
    auto encoded = encode_job(source_, codec_, job, exact_);
    if (!encoded.ok()) return order.fail(*index, encoded.error());
    if (!order.enter(*index)) return;
    const uint64_t raw_bytes = encoded->raw_bytes;
    if (Status accepted = accept(job, std::move(*encoded)); !accepted.ok()) {
      return order.fail(*index, accepted.error());
    }
    std::optional<ChunkObjects> complete;
    if ((*index + 1) % sections_.size() == 0) complete = std::exchange(current_, std::nullopt);
    on_encoded(raw_bytes);
    order.leave(*index);
    // Hashing and syncing a chunk's objects goes on beside the encoding of the next chunk.
    if (!complete) continue;
    if (Status finished = std::move(*complete).finish(chunks_[job.chunk]); !finished.ok()) {
      return order.fail(*index, finished.error());
    }
  }
}

Status ChunkEncoder::run(uint32_t threads, const std::function<void(uint64_t)>& on_encoded,
                         std::stop_token stop) {
  TaskOrder order(chunks_.size() * sections_.size(), std::move(stop));
  run_workers(threads, order, [&] { work(order, on_encoded); });
  return order.result();
}

uint32_t workers_within(uint64_t memory_bytes, uint32_t threads, const KvSource& source,
                        const kernels::Profile& profile, uint32_t chunk_tokens) {
  uint64_t largest = 1;
  const uint64_t tokens = std::min<uint64_t>(chunk_tokens, source.tokens());
  for (const kernels::LayerGroup& group : profile.groups) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      const uint64_t elements = tokens * group.layers * source.geometry().channels(side);
      largest = std::max(largest, job_memory_bytes(elements, source.dtype()));
    }
  }
  return static_cast<uint32_t>(std::clamp<uint64_t>(memory_bytes / largest, 1, threads));
}

}  // namespace kvcast::packager
