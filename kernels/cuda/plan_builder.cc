#include "kernels/cuda/plan_builder.h"

#include <limits>
#include <string>

#include "kernels/cuda/finish_choice.h"
#include "kernels/plane/section_planes.h"

namespace kvcast::kernels {
namespace {

constexpr uint64_t kMaxTasks = std::numeric_limits<int32_t>::max();

uint32_t tiles_in(uint32_t size, uint32_t tile) {
  return (size + tile - 1) / tile;
}

}  // namespace

PlanBuilder::PlanBuilder(const DeviceProfile& profile, DType dtype, size_t planes_bytes,
                         bool to_tensors)
    : profile_(profile),
      dtype_(dtype),
      planes_bytes_(planes_bytes),
      to_tensors_(to_tensors),
      tensors_(profile.profile(), dtype) {}

Check PlanBuilder::check_place(const DevicePlane& plane) const {
  if (plane.offset % kDevicePlaneAlignment != 0)
    return Fault{"plane at offset " + std::to_string(plane.offset) + ", not a multiple of 16"};
  if (plane.offset > planes_bytes_ || plane.bytes.size() > planes_bytes_ - plane.offset) {
    return Fault{"plane of " + std::to_string(plane.bytes.size()) + " bytes at offset " +
                 std::to_string(plane.offset) + " ends outside the block of " +
                 std::to_string(planes_bytes_)};
  }
  return {};
}

Check PlanBuilder::add(const SectionToDecode& section) {
  const Profile& profile = profile_.profile();
  const auto shape = shape_of_section(profile, section.group, section.side, section.tokens);
  if (!shape) return shape.fault();
  DecodeSection task{};
  task.image = profile_.section_offset(section.group, section.side);
  task.tokens = shape->coded_tokens;
  task.row = shape->coefficients;
  task.sink_tokens = shape->sinks;
  task.coefficients = scratch_.reserve(uint64_t{task.tokens} * task.row * sizeof(uint16_t));
  if (Check check = add_planes(section, *shape, task); !check) return check;
  if (to_tensors_) {
    if (Check check = add_destination(section, *shape, task); !check) return check;
    add_finish(*shape, task);
  }
  sections_.push_back(task);
  if (streams_.groups.size() > kMaxTasks || row_tiles_ > kMaxTasks || tile_tiles_ > kMaxTasks ||
      element_tiles_ > kMaxTasks) {
    return Fault{"too many sections for one plan"};
  }
  return {};
}

Check PlanBuilder::add_planes(const SectionToDecode& section, const SectionShape& shape,
                              DecodeSection& task) {
  std::vector<std::span<const std::byte>> bytes;
  std::vector<uint64_t> offsets;
  for (const DevicePlane& plane : section.planes) {
    if (Check check = check_place(plane); !check) return check;
    bytes.push_back(plane.bytes);
    offsets.push_back(plane.offset);
  }
  const auto planes = read_planes(shape, profile_.profile().classes.size(), bytes);
  if (!planes) return planes.fault();
  const auto index = static_cast<uint32_t>(sections_.size());
  if (Check check = streams_.add(index, shape, *planes, offsets); !check) return check;
  task.passes = static_cast<uint32_t>(planes->passes.size());
  task.dropped_bits = planes->dropped_bits;
  task.largest_escape = static_cast<uint32_t>(planes->largest_escape);
  task.escape_bytes = planes->base.escape_bytes;
  task.escape_count =
      static_cast<uint32_t>(planes->base.escapes.size() / planes->base.escape_bytes);
  task.escapes = offsets[0] + planes->base.escapes_offset;
  task.outliers = scratch_.reserve(uint64_t{task.escape_count} * sizeof(OutlierRecord));
  if (task.escape_count > 0 && task.passes > 0) outlier_sections_.push_back(index);
  return {};
}

Check PlanBuilder::add_destination(const SectionToDecode& section, const SectionShape& shape,
                                   DecodeSection& task) {
  Check check = tensors_.add(section.destination, shape, descriptors_, scratch_, task);
  if (!check) return check;
  const size_t sink_bytes = size_t{shape.sinks} * shape.width * dtype_bytes(dtype_);
  if (section.sinks.bytes.size() != sink_bytes) {
    return Fault{"sink section of " + std::to_string(section.sinks.bytes.size()) +
                 " bytes, expected " + std::to_string(sink_bytes)};
  }
  if (Check place = check_place(section.sinks); !place) return place;
  if (sink_bytes > 0) sink_sections_.push_back(static_cast<uint32_t>(sections_.size()));
  task.sinks = section.sinks.offset;
  return {};
}

void PlanBuilder::add_finish(const SectionShape& shape, const DecodeSection& task) {
  if (task.tokens == 0 || shape.width == 0) return;
  const FinishKind kind = finish_kind(shape);
  const TileShape tile = tile_shape(kind, shape);
  const uint32_t down = tiles_in(task.tokens, tile.tokens);
  auto& list = kind == FinishKind::kRows ? rows_ : kind == FinishKind::kTiles ? tiles_ : elements_;
  uint32_t& count = kind == FinishKind::kRows    ? row_tiles_
                    : kind == FinishKind::kTiles ? tile_tiles_
                                                 : element_tiles_;
  const auto give = [&](uint32_t block, uint32_t channels) {
    const uint32_t across = tiles_in(channels, tile.channels);
    list.push_back(
        {static_cast<uint32_t>(sections_.size()), block, count, across, uses_rope(shape)});
    count += across * down;
  };
  if (kind != FinishKind::kTiles) return give(0, shape.width);
  for (uint32_t block = 0; block < shape.codec->blocks.size(); ++block)
    give(block, shape.codec->blocks[block].width);
}

DecodePlan::Contents PlanBuilder::finish() {
  streams_.pair_up();
  DecodePlan::Contents contents;
  const auto put = [&](auto& list, const auto& tasks, uint32_t tiles = 0) {
    list = {descriptors_.put(tasks), static_cast<uint32_t>(tasks.size()), tiles};
  };
  DecodeTasks& tasks = contents.tasks;
  put(tasks.sections, sections_);
  put(tasks.streams, streams_.streams);
  put(tasks.groups, streams_.groups);
  put(tasks.team_pairs, streams_.team_pairs);
  put(tasks.base_pairs, streams_.base_pairs);
  for (size_t pass = 0; pass < streams_.pass_pairs.size(); ++pass)
    put(tasks.pass_pairs[pass], streams_.pass_pairs[pass]);
  put(tasks.teams, streams_.teams);
  put(tasks.empty_groups, streams_.empty_groups);
  put(tasks.outlier_sections, outlier_sections_);
  put(tasks.sink_sections, sink_sections_);
  put(tasks.ropes, tensors_.ropes());
  put(tasks.rows, rows_, row_tiles_);
  put(tasks.tiles, tiles_, tile_tiles_);
  put(tasks.elements, elements_, element_tiles_);
  contents.profile = &profile_;
  contents.dtype = dtype_;
  contents.planes_bytes = planes_bytes_;
  contents.descriptors = std::move(descriptors_).finish();
  contents.descriptors_offset = scratch_.reserve(contents.descriptors.size());
  for (const DecodeSection& section : sections_)
    contents.coefficients.push_back(section.coefficients);
  return contents;
}

}  // namespace kvcast::kernels
