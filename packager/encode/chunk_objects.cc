#include "packager/encode/chunk_objects.h"

#include <algorithm>
#include <utility>

#include "packager/encode/object_sections.h"

namespace kvcast::packager {
namespace {

using kernels::SectionKind;
using kernels::Side;
using manifests::Result;
using manifests::Status;

kernels::SectionId section_id(SectionKind kind, uint32_t group, Side side) {
  return {kind, static_cast<uint16_t>(group), side};
}

}  // namespace

ChunkObjects::ChunkObjects(ObjectStore& store, const kernels::Profile& profile,
                           kernels::TokenRange tokens)
    : store_(&store), profile_(&profile), tokens_(tokens), squared_error_(profile.levels) {}

Result<ChunkObjects> ChunkObjects::create(ObjectStore& store, const KvSource& source,
                                          const kernels::Profile& profile,
                                          const manifests::Digest& profile_digest,
                                          kernels::TokenRange tokens, bool exact) {
  ChunkObjects objects(store, profile, tokens);
  const kernels::Geometry& geometry = source.geometry();
  for (uint32_t plane = 0; plane < profile.levels; ++plane) {
    auto spool = ObjectSpool::create(
        store, plane_header(geometry, source.dtype(), tokens, plane, profile_digest),
        plane_sections(profile, tokens, plane).size());
    if (!spool.ok()) return spool.error();
    objects.planes_.push_back(std::move(*spool));
  }
  if (!exact) return objects;
  auto spool = ObjectSpool::create(store, exact_header(geometry, source.dtype(), tokens),
                                   exact_sections(geometry).size());
  if (!spool.ok()) return spool.error();
  objects.exact_.emplace(std::move(*spool));
  return objects;
}

Status ChunkObjects::append(const SectionJob& job, EncodedJob encoded) {
  for (size_t plane = 0; plane < planes_.size(); ++plane) {
    const SectionKind kind = plane == 0 ? SectionKind::kBase : SectionKind::kRefinement;
    if (Status appended = planes_[plane].append(section_id(kind, job.group, job.side),
                                                encoded.section.planes[plane]);
        !appended.ok()) {
      return appended;
    }
    squared_error_[plane] += encoded.section.squared_error[plane];
  }
  energy_ += encoded.section.energy;
  if (profile_->sinks_in(tokens_) > 0) {
    if (Status appended =
            planes_[0].append(section_id(SectionKind::kSinks, job.group, job.side), encoded.sinks);
        !appended.ok()) {
      return appended;
    }
  }
  return exact_ ? append_exact(job, encoded) : Status{};
}

Status ChunkObjects::append_exact(const SectionJob& job, EncodedJob& encoded) {
  const bool last_side = job.side == sides_of(profile_->geometry).back();
  if (!last_side) {
    waiting_keys_ = std::move(encoded.exact);
    return {};
  }
  const uint32_t first_layer = profile_->groups[job.group].first_layer;
  for (uint32_t i = 0; i < encoded.exact.size(); ++i) {
    const auto append = [&](Side side, std::span<const std::byte> bytes) {
      return exact_->append(section_id(SectionKind::kExact, first_layer + i, side), bytes);
    };
    if (!waiting_keys_.empty()) {
      if (Status keys = append(Side::kKey, waiting_keys_[i]); !keys.ok()) return keys;
    }
    if (Status last = append(job.side, encoded.exact[i]); !last.ok()) return last;
  }
  waiting_keys_.clear();
  return {};
}

Result<manifests::ObjectRef> ChunkObjects::finish(ObjectSpool spool,
                                                  std::vector<FinishedObject>& finished) {
  auto object = std::move(spool).finish();
  if (!object.ok()) return object.error();
  finished.push_back(std::move(*object));
  return finished.back().object;
}

Status ChunkObjects::finish(manifests::ChunkEntry& entry) && {
  std::vector<FinishedObject> finished;
  for (ObjectSpool& spool : planes_) {
    const auto object = finish(std::move(spool), finished);
    if (!object.ok()) return object.error();
    entry.planes.push_back({*object, 0, std::nullopt});
  }
  if (exact_) {
    const auto object = finish(std::move(*exact_), finished);
    if (!object.ok()) return object.error();
    entry.exact = *object;
  }
  if (Status published = store_->publish(std::move(finished)); !published.ok()) return published;
  const kernels::Geometry& geometry = profile_->geometry;
  entry.decode_cost =
      static_cast<double>(uint64_t{tokens_.count} * geometry.layers *
                          (geometry.channels(Side::kKey) + geometry.channels(Side::kValue))) /
      1e6;
  fill_distortion(entry);
  return {};
}

void ChunkObjects::fill_distortion(manifests::ChunkEntry& entry) const {
  for (size_t level = 0; level < entry.planes.size(); ++level) {
    const double distortion = energy_ > 0 ? std::min(1.0, squared_error_[level] / energy_) : 0.0;
    entry.planes[level].distortion = distortion;
    entry.planes[level].agreement = expected_agreement(*profile_, distortion);
  }
}

std::optional<double> expected_agreement(const kernels::Profile& profile, double distortion) {
  const auto& points = profile.agreement;
  if (points.empty()) return std::nullopt;
  const auto above = std::find_if(points.begin(), points.end(), [&](const auto& point) {
    return point.distortion >= distortion;
  });
  if (above == points.begin()) return points.front().top1_agreement;
  if (above == points.end()) return points.back().top1_agreement;
  const auto below = above - 1;
  const double share = (distortion - below->distortion) / (above->distortion - below->distortion);
  return below->top1_agreement + share * (above->top1_agreement - below->top1_agreement);
}

}  // namespace kvcast::packager
