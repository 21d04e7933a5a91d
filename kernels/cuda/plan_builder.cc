#include "kernels/cuda/plan_builder.h"

#include <limits>
#include <string>

#include "kernels/cuda/finish_choice.h"
#include "kernels/cuda/image.h"
#include "kernels/cuda/tensor_check.h"
#include "kernels/plane/section_planes.h"

namespace kvcast::kernels {
namespace {

constexpr uint64_t kMaxPosition = uint64_t{1} << (kRopeParts * kRopeDigitBits);
constexpr uint64_t kMaxTasks = std::numeric_limits<int32_t>::max();

uint64_t aligned(uint64_t bytes) {
  return (bytes + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment;
}

uint32_t tiles_in(uint32_t size, uint32_t tile) {
  return (size + tile - 1) / tile;
}

}  // namespace

PlanBuilder::PlanBuilder(const DeviceProfile& profile, DType dtype, size_t planes_bytes,
                         bool to_tensors)
    : profile_(profile), dtype_(dtype), planes_bytes_(planes_bytes), to_tensors_(to_tensors) {}

uint64_t PlanBuilder::reserve(uint64_t bytes) {
  const uint64_t offset = scratch_;
  scratch_ += aligned(bytes);
  return offset;
}

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
  task.coefficients = reserve(uint64_t{task.tokens} * task.row * sizeof(uint16_t));
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
  task.outliers = reserve(uint64_t{task.escape_count} * sizeof(OutlierRecord));
  if (task.escape_count > 0 && task.passes > 0) outlier_sections_.push_back(index);
  return {};
}

uint64_t PlanBuilder::rope_table(const SectionShape& shape, uint8_t rope) {
  const uint64_t first = shape.tokens.begin + shape.sinks;
  const auto [at, is_new] = rope_tables_.try_emplace({rope, first, shape.coded_tokens});
  if (!is_new) return at->second;
  const size_t pairs = profile_.profile().ropes[rope].inv_freq.size();
  at->second = reserve(uint64_t{shape.coded_tokens} * pairs * 2 * sizeof(float));
  ropes_.push_back({first, at->second, rope, shape.coded_tokens});
  return at->second;
}

// Of the blocks that the chunk needs.
uint64_t PlanBuilder::block_table(const DeviceTensor& tensor, uint32_t tokens,
                                  DecodeSection& task) {
  const uint32_t block_tokens = tensor.layout.block_tokens;
  task.first_slot = static_cast<uint32_t>(tensor.first_slot);
  if (block_tokens == 0 || tokens == 0) return 0;
  const uint64_t first = tensor.first_slot / block_tokens;
  const uint64_t end = (tensor.first_slot + tokens + block_tokens - 1) / block_tokens;
  task.first_slot -= static_cast<uint32_t>(first * block_tokens);
  const auto [at, is_new] = block_tables_.try_emplace({tensor.block_table.data(), first, end});
  if (is_new) at->second = descriptors_.put(tensor.block_table.subspan(first, end - first));
  return at->second;
}

Check PlanBuilder::add_destination(const SectionToDecode& section, const SectionShape& shape,
                                   DecodeSection& task) {
  const Geometry& geometry = profile_.profile().geometry;
  const DeviceTensor& tensor = section.destination;
  const uint32_t heads = geometry.heads(shape.side), dim = geometry.dim(shape.side);
  if (section.tokens.begin > kMaxPosition ||
      section.tokens.count > kMaxPosition - section.tokens.begin) {
    return Fault{"tokens beyond position 2^30"};
  }
  if (Check check =
          check_tensor(tensor, shape.layers.layers, heads, dim, shape.tokens.count, dtype_);
      !check) {
    return check;
  }
  const size_t sink_bytes = size_t{shape.sinks} * shape.width * dtype_bytes(dtype_);
  if (section.sinks.bytes.size() != sink_bytes) {
    return Fault{"sink section of " + std::to_string(section.sinks.bytes.size()) +
                 " bytes, expected " + std::to_string(sink_bytes)};
  }
  if (Check check = check_place(section.sinks); !check) return check;
  if (sink_bytes > 0) sink_sections_.push_back(static_cast<uint32_t>(sections_.size()));
  task.sinks = section.sinks.offset;
  task.block_tokens = tensor.layout.block_tokens;
  task.block_bytes = tensor.layout.block_bytes;
  task.token_bytes = tensor.layout.token_bytes;
  task.head_bytes = tensor.layout.head_bytes;
  task.aligned = is_aligned(tensor);
  task.block_table = block_table(tensor, shape.tokens.count, task);
  std::vector<LayerTask> layers;
  for (uint32_t layer = 0; layer < shape.layers.layers; ++layer) {
    const uint8_t rope = profile_.profile().layer_rope[shape.layers.first_layer + layer];
    const bool turns = shape.side == Side::kKey && rope != kNoRope;
    layers.push_back({reinterpret_cast<uint64_t>(tensor.layers_dev[layer]),
                      turns ? rope_table(shape, rope) : 0, turns ? rope : kNone, 0});
  }
  task.layers = descriptors_.put(layers);
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
  put(tasks.ropes, ropes_);
  put(tasks.rows, rows_, row_tiles_);
  put(tasks.tiles, tiles_, tile_tiles_);
  put(tasks.elements, elements_, element_tiles_);
  contents.profile = &profile_;
  contents.dtype = dtype_;
  contents.planes_bytes = planes_bytes_;
  contents.descriptors = std::move(descriptors_).finish();
  contents.descriptors_offset = reserve(contents.descriptors.size());
  for (const DecodeSection& section : sections_)
    contents.coefficients.push_back(section.coefficients);
  return contents;
}

}  // namespace kvcast::kernels
