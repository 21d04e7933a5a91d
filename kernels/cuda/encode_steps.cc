// The host's part of each step of a DeviceEncoding: kernels/device_encode.h.
#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/cuda/encode_plan.h"
#include "kernels/cuda/encode_profile.h"
#include "kernels/cuda/tensor_tasks.h"
#include "kernels/cuda/tiles.h"
#include "kernels/entropy/rans_format.h"
#include "kernels/plane/layout.h"
#include "kernels/plane/stream_cut.h"

namespace kvcast::kernels {
namespace {

// A state's integer division costs at most log2(17/16) bits a symbol, since x / f is at least 16.
constexpr double kLossBits = 0.09;

uint32_t tiles_in(uint32_t size, uint32_t tile) {
  return (size + tile - 1) / tile;
}

template <typename T>
void put(ImageWriter& writer, const std::vector<T>& tasks, TaskList<T>& list, uint32_t tiles = 0) {
  list = {writer.put(tasks), static_cast<uint32_t>(tasks.size()), tiles};
}

// The sections' tasks as they are by now.
void put_sections(ImageWriter& writer, DeviceEncoding::Contents& contents) {
  std::vector<EncodeSection> tasks;
  for (const SectionEncoding& section : contents.sections) tasks.push_back(section.task);
  put(writer, tasks, contents.tasks.sections);
}

uint64_t aligned(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

void prepare_quantising(const TensorTasks& tensors, ScratchLayout& scratch,
                        DeviceEncoding::Contents& contents) {
  std::vector<EmptyTask> groups;
  std::vector<FinishTask> channels, blocks;
  uint32_t channel_tiles = 0, block_tiles = 0;
  const auto give = [](std::vector<FinishTask>& list, uint32_t section, uint32_t block,
                       uint32_t down, uint32_t across, uint32_t& tiles) {
    list.push_back({section, block, tiles, across, 0});
    tiles += down * across;
  };
  for (uint32_t s = 0; s < contents.sections.size(); ++s) {
    SectionEncoding& section = contents.sections[s];
    const SectionShape& shape = section.shape;
    section.first_group = static_cast<uint32_t>(groups.size());
    for (uint32_t g = 0; g < shape.groups; ++g) groups.push_back({s, g, shape.lanes(g), 0});
    give(channels, s, 0, tiles_in(shape.tokens.count, kElementTokens),
         tiles_in(shape.width, kElementChannels), channel_tiles);
    for (uint32_t b = 0; b < shape.codec->blocks.size(); ++b) {
      give(blocks, s, b, tiles_in(shape.coded_tokens, kForwardTokens),
           tiles_in(shape.codec->blocks[b].rank, kForwardRows), block_tiles);
    }
  }
  EncodeTasks& tasks = contents.tasks;
  tasks.classes = contents.profile->contents().classes;
  tasks.class_count = static_cast<uint32_t>(contents.profile->profile().classes.size());
  const uint64_t error_bytes = aligned(contents.sections.size() * sizeof(uint32_t), 8);
  contents.report_bytes = error_bytes + groups.size() * sizeof(GroupReport);
  contents.report_offset = tasks.errors = scratch.reserve(contents.report_bytes);
  tasks.reports = tasks.errors + error_bytes;
  contents.scratch_bytes = scratch.bytes();
  ImageWriter writer = contents.tensors;
  put_sections(writer, contents);
  put(writer, groups, tasks.groups);
  put(writer, tensors.ropes(), tasks.ropes);
  put(writer, channels, tasks.channels, channel_tiles);
  put(writer, blocks, tasks.blocks, block_tiles);
  contents.descriptors = std::move(writer).finish();
}

namespace {

Check check_section(uint32_t error) {
  if (error & kEncodeNotFinite) {
    return Fault{"an element is NaN or an infinity: only the exact representation can hold it"};
  }
  if (error & kEncodeOverflow)
    return Fault{"a coefficient overflows fp32; only the exact representation can hold it"};
  return {};
}

Check add_up(const DeviceEncoding::Contents& contents, SectionEncoding& section) {
  section.squared_error.assign(section.task.levels, 0);
  for (uint32_t g = 0; g < section.shape.groups; ++g) {
    const GroupReport& report = contents.reports[section.first_group + g];
    if (report.scale_class == kNoClass) {
      return Fault{"no class of the profile has the symbols that channel group " +
                   std::to_string(g) + " needs"};
    }
    for (uint32_t level = 0; level < section.task.levels; ++level)
      section.squared_error[level] += report.squared_error[level];
    section.energy += report.energy;
  }
  return {};
}

}  // namespace

Check read_group_reports(std::span<const std::byte> report, DeviceEncoding::Contents& contents) {
  const uint64_t error_bytes = contents.tasks.reports - contents.tasks.errors;
  contents.reports.resize((report.size() - error_bytes) / sizeof(GroupReport));
  if (!contents.reports.empty()) {
    std::memcpy(contents.reports.data(), report.data() + error_bytes,
                contents.reports.size() * sizeof(GroupReport));
  }
  for (size_t s = 0; s < contents.sections.size(); ++s) {
    uint32_t error;
    std::memcpy(&error, report.data() + s * sizeof(error), sizeof(error));
    Check check = check_section(error);
    if (check) check = add_up(contents, contents.sections[s]);
    if (!check) return Fault{"section " + std::to_string(s) + ": " + check.fault().what};
  }
  return {};
}

namespace {

std::vector<CodedGroup> groups_of_part(const DeviceEncoding::Contents& contents,
                                       const SectionEncoding& section, uint32_t part) {
  std::vector<CodedGroup> groups;
  for (uint32_t g = 0; g < section.shape.groups; ++g) {
    const GroupReport& report = contents.reports[section.first_group + g];
    if ((report.empty >> part & 1) == 0)
      groups.push_back({g, report.scale_class, report.bits[part]});
  }
  std::stable_sort(groups.begin(), groups.end(), [](const CodedGroup& a, const CodedGroup& b) {
    return a.scale_class < b.scale_class;
  });
  return groups;
}

// A stream of these groups, its room for words reserved.
EncodeStreamTask make_stream(std::span<const CodedGroup> groups, uint32_t index, uint32_t part,
                             DeviceEncoding::Contents& contents, ScratchLayout& streams) {
  SectionEncoding& section = contents.sections[index];
  EncodeStreamTask task{};
  task.section = index;
  task.part = part;
  task.first_group = static_cast<uint32_t>(contents.stream_groups.size());
  task.groups = static_cast<uint32_t>(groups.size());
  double bits = 0, symbols = 0;
  for (const CodedGroup& group : groups) {
    const uint32_t lanes = section.shape.lanes(group.group);
    contents.stream_groups.push_back({group.group, lanes, group.scale_class, 0});
    task.lanes = std::max(task.lanes, lanes);
    if (part == 0) task.escape_count += contents.reports[section.first_group + group.group].escapes;
    bits += group.bits;
    symbols += double{1} * lanes * section.shape.coded_tokens;
  }
  task.capacity = static_cast<uint32_t>(
      std::min(symbols, (bits + kLossBits * symbols) / kWordBits + 2 * kLanes));
  task.region = streams.reserve(kLanes * kStateBytes + uint64_t{task.capacity} * kWordBytes);
  return task;
}

void cut_part(uint32_t index, uint32_t part, DeviceEncoding::Contents& contents,
              ScratchLayout& streams) {
  const std::vector<CodedGroup> order = groups_of_part(contents, contents.sections[index], part);
  const size_t entry = part == 0 ? kBaseStreamEntryBytes : kPassStreamEntryBytes;
  std::span<const CodedGroup> left = order;
  EncodePart cut{static_cast<uint32_t>(contents.streams.size()), 0};
  for (const uint32_t count : kernels::cut_streams(order, kLanes * kStateBytes + entry)) {
    contents.streams.push_back(make_stream(left.first(count), index, part, contents, streams));
    left = left.subspan(count);
    ++cut.streams;
  }
  contents.sections[index].parts.push_back(cut);
}

// Where the escapes of the section's base go.
void place_escapes(SectionEncoding& section, DeviceEncoding::Contents& contents,
                   ScratchLayout& streams) {
  bool wide = false;
  for (uint32_t g = 0; g < section.shape.groups; ++g)
    wide |= contents.reports[section.first_group + g].wide != 0;
  section.task.escape_bytes = wide ? 4 : 2;
  const EncodePart& base = section.parts[0];
  const std::span own = std::span(contents.streams).subspan(base.first_stream, base.streams);
  for (const EncodeStreamTask& stream : own) section.escape_count += stream.escape_count;
  section.escapes = streams.reserve(uint64_t{section.escape_count} * section.task.escape_bytes);
  uint64_t next = section.escapes;
  for (EncodeStreamTask& stream : own) {
    stream.escapes = next;
    next += uint64_t{stream.escape_count} * section.task.escape_bytes;
  }
}

}  // namespace

void prepare_coding(DeviceEncoding::Contents& contents) {
  // The reports' room is at the beginning: at most a stream a group and part.
  uint64_t most = 0;
  for (const SectionEncoding& section : contents.sections)
    most += uint64_t{section.shape.groups} * (1 + section.task.passes);
  ScratchLayout streams;
  streams.reserve(most * sizeof(StreamReport));
  for (uint32_t s = 0; s < contents.sections.size(); ++s) {
    SectionEncoding& section = contents.sections[s];
    for (uint32_t part = 0; part <= section.task.passes; ++part)
      cut_part(s, part, contents, streams);
    place_escapes(section, contents, streams);
  }
  contents.streams_bytes = streams.bytes();
  contents.report_offset = 0;
  contents.report_bytes = contents.streams.size() * sizeof(StreamReport);
  ImageWriter writer = contents.tensors;
  put_sections(writer, contents);
  put(writer, contents.streams, contents.tasks.streams);
  put(writer, contents.stream_groups, contents.tasks.stream_groups);
  contents.descriptors = std::move(writer).finish();
}

}  // namespace kvcast::kernels
