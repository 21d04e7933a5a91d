#include "player/session/decoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/profile_format.h"
#include "player/device/device_decoder.h"
#include "player/device/placing.h"
#include "player/session/decode_pool.h"

namespace kvcast::player {
namespace {

using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;

manifests::ObjectHeader header_of(const Presentation& presentation, manifests::ObjectKind kind) {
  const manifests::ModelIdentity& model = presentation.manifest.model;
  manifests::ObjectHeader header;
  header.kind = kind;
  header.layers = static_cast<uint16_t>(model.layers);
  header.key_heads = static_cast<uint16_t>(model.key_heads);
  header.key_dim = static_cast<uint16_t>(model.key_dim);
  header.value_heads = static_cast<uint16_t>(model.value_heads);
  header.value_dim = static_cast<uint16_t>(model.value_dim);
  return header;
}

}  // namespace

Decoding::Decoding(const Presentation& presentation,
                   const std::vector<kernels::MutableTensorView>& destinations,
                   DeviceKvSink* device, bool exact, uint32_t threads, std::function<void()> wake)
    : presentation_(presentation),
      destinations_(destinations),
      device_(device),
      exact_(exact),
      threads_(device != nullptr ? 1 : std::max(1u, threads)),
      kept_(presentation.chunks),
      progress_(presentation.chunks) {
  if (device != nullptr) {
    decoder_ = std::make_unique<DeviceDecoder>(*device, std::move(wake));
  } else {
    decoder_ = std::make_unique<DecodePool>(threads, std::move(wake));
  }
  // Until a profile says otherwise a group is a layer; without a profile only exact objects decode.
  for (uint32_t layer = 0; layer < presentation.geometry.layers; ++layer) {
    groups_.push_back({layer, 1});
  }
  group_jobs_.resize(groups_.size());
}

manifests::Status Decoding::set_profile(std::vector<std::byte> object) {
  const std::string name = "profile " + presentation_.manifest.profile.digest.hex();
  auto stored = StoredObject::parse(
      std::move(object), header_of(presentation_, manifests::ObjectKind::kProfile), name);
  if (!stored) return stored.error();
  std::vector<kernels::SectionView> sections;
  for (const manifests::ObjectSection& section : (*stored)->view().sections) {
    sections.push_back({{static_cast<kernels::SectionKind>(section.kind), section.group,
                         static_cast<Side>(section.side)},
                        section.bytes});
  }
  auto profile = kernels::read_profile(sections);
  if (!profile) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, profile.fault().what)};
  }
  if (profile->geometry != presentation_.geometry ||
      profile->levels != presentation_.manifest.levels) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: shape or number of levels differ from the manifest's", name)};
  }
  profile_ = std::move(*profile);
  if (device_ == nullptr) codec_ = std::make_unique<kernels::Codec>(profile_);
  if (manifests::Status used = decoder_->use_profile(profile_); !used) return used;
  has_profile_ = true;
  groups_ = profile_.groups;
  group_jobs_.assign(groups_.size(), 0);
  return {};
}

manifests::ObjectHeader Decoding::expected_header(uint32_t chunk, uint32_t plane) const {
  const manifests::ChunkEntry& entry = presentation_.manifest.chunks[chunk];
  manifests::ObjectHeader header = header_of(
      presentation_, exact_ ? manifests::ObjectKind::kExact : manifests::ObjectKind::kPlane);
  header.plane = static_cast<uint8_t>(plane);
  header.token_begin = entry.token_begin;
  header.token_count = static_cast<uint32_t>(entry.token_end - entry.token_begin);
  header.dtype = static_cast<uint8_t>(presentation_.dtype);
  if (!exact_) header.profile = presentation_.manifest.profile.digest;
  return header;
}

manifests::Status Decoding::keep(uint32_t chunk, uint32_t plane, std::vector<std::byte> object) {
  auto stored = StoredObject::parse(std::move(object), expected_header(chunk, plane),
                                    exact_ ? fmt::format("exact object of chunk {}", chunk)
                                           : fmt::format("plane {} of chunk {}", plane, chunk));
  if (!stored) return stored.error();
  kept_[chunk].resize(std::max<size_t>(kept_[chunk].size(), plane + 1));
  kept_[chunk][plane] = std::move(*stored);
  decoder_->keep(kept_[chunk][plane]);
  return {};
}

void Decoding::release(uint32_t chunk) {
  for (const auto& object : kept_[chunk]) {
    if (object) decoder_->release(object);
  }
  kept_[chunk] = {};
}

double Decoding::work(uint32_t chunk, uint32_t level) const {
  return presentation_.manifest.chunks[chunk].decode_cost * (level + 1);
}

double Decoding::seconds(uint32_t chunk, uint32_t level) const {
  return estimator_.seconds(work(chunk, level), threads_);
}

DecodeJob Decoding::job(const Order& order, uint32_t group, Side side) const {
  const manifests::ChunkEntry& entry = presentation_.manifest.chunks[order.chunk];
  const kernels::Geometry& geometry = presentation_.geometry;
  DecodeJob job;
  job.chunk = order.chunk;
  job.group = group;
  job.side = side;
  job.exact = exact_;
  job.codec = codec_.get();
  job.channels = geometry.channels(side);
  job.planes.assign(kept_[order.chunk].begin(), kept_[order.chunk].begin() + order.level + 1);
  job.tokens = {entry.token_begin, static_cast<uint32_t>(entry.token_end - entry.token_begin)};
  job.dtype = presentation_.dtype;
  for (uint32_t i = 0; device_ == nullptr && i < groups_[group].layers; ++i) {
    kernels::MutableTensorView view =
        destinations_[2 * (groups_[group].first_layer + i) + static_cast<uint32_t>(side)];
    view.data += entry.token_begin * view.token_stride_bytes;
    job.layers.push_back(view);
  }
  const double share = static_cast<double>(groups_[group].layers * geometry.channels(side)) /
                       static_cast<double>(geometry.layers * (geometry.channels(Side::kKey) +
                                                              geometry.channels(Side::kValue)));
  job.work = share * work(order.chunk, order.level);
  return job;
}

void Decoding::submit(const std::vector<Order>& orders) {
  for (const Order& order : orders) {
    progress_[order.chunk] = {0, order.level, static_cast<int>(order.level), {}};
    ++active_;
  }
  std::vector<DecodeJob> jobs;
  for (uint32_t group = 0; group < groups_.size(); ++group) {
    for (const Order& order : orders) {
      for (const Side side : {Side::kKey, Side::kValue}) {
        if (presentation_.geometry.channels(side) == 0) continue;
        ++progress_[order.chunk].jobs;
        ++group_jobs_[group];
        jobs.push_back(job(order, group, side));
      }
    }
  }
  if (!jobs.empty()) decoder_->submit(std::move(jobs));
}

manifests::Result<std::vector<Decoding::Chunk>> Decoding::collect() {
  const auto all = decoder_->collect();
  if (!all) return all.error();
  std::vector<Chunk> chunks;
  for (const DecodeDone& done : *all) {
    Progress& progress = progress_[done.chunk];
    --group_jobs_[done.group];
    estimator_.add(done.work, done.thread_seconds);
    progress.level = std::min(progress.level, done.level);
    if (progress.fault.empty()) progress.fault = done.fault;
    if (--progress.jobs > 0) continue;
    --active_;
    chunks.push_back({done.chunk, progress.wanted, progress.level, progress.fault});
  }
  return chunks;
}

manifests::Status Decoding::place(uint32_t chunk,
                                  std::span<const kernels::MutableTensorView> from) {
  const manifests::ChunkEntry& entry = presentation_.manifest.chunks[chunk];
  const uint64_t rows = entry.token_end - entry.token_begin;
  if (device_ != nullptr) {
    std::vector<kernels::TensorView> views;
    for (const auto& view : from) views.push_back({view.data, view.token_stride_bytes});
    return place_chunk(*device_, {entry.token_begin, static_cast<uint32_t>(rows)}, views);
  }
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t row_bytes = from[i].token_stride_bytes;
    const size_t stride = destinations_[i].token_stride_bytes;
    std::byte* to = destinations_[i].data + entry.token_begin * stride;
    if (row_bytes == 0) continue;
    if (stride == row_bytes) {
      std::memcpy(to, from[i].data, rows * row_bytes);
      continue;
    }
    for (uint64_t row = 0; row < rows; ++row) {
      std::memcpy(to + row * stride, from[i].data + row * row_bytes, row_bytes);
    }
  }
  return {};
}

uint32_t Decoding::at_once() const {
  return device_ != nullptr ? presentation_.chunks : threads_;
}

}  // namespace kvcast::player
