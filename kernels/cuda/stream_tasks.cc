#include "kernels/cuda/stream_tasks.h"

#include <algorithm>
#include <string>
#include <tuple>

namespace kvcast::kernels {
namespace {

constexpr uint32_t kTeamPairs = 8;       // a block's warps have one each
constexpr uint32_t kLeastTeamPairs = 4;  // fewer do not pay for the loading of a table

const StreamTable& table_of(const SectionPlanes& planes, size_t part) {
  return part == 0 ? planes.base.table : planes.passes[part - 1].table;
}

bool is_empty(const SectionPlanes& planes, size_t part, uint32_t group) {
  return table_of(planes, part).empty[group] != 0;
}

// A group's place among the parts that code it.
GroupTask group_task(const SectionShape& shape, const SectionPlanes& planes, size_t part,
                     uint32_t group) {
  const size_t parts = 1 + planes.passes.size();
  GroupTask task{};
  task.group = group;
  task.lanes = static_cast<uint16_t>(shape.lanes(group));
  task.scale_class = planes.base.scale_class[group];
  size_t before = part, after = part + 1;
  while (before > 0 && is_empty(planes, before - 1, group)) --before;
  while (after < parts && is_empty(planes, after, group)) ++after;
  task.first = before == 0;
  task.last = after == parts;
  task.before = static_cast<uint8_t>(task.first ? 0 : part - before);
  task.after = static_cast<uint8_t>(task.last ? parts - 1 - part : 0);
  return task;
}

Check check_stream(const StreamView& stream) {
  const size_t states = size_t{stream.lanes} * kStateBytes;
  if (stream.bytes.size() < states) {
    return Fault{"stream of " + std::to_string(stream.bytes.size()) +
                     " bytes is shorter than its " + std::to_string(stream.lanes) + " states",
                 stream.offset};
  }
  if ((stream.bytes.size() - states) % kWordBytes != 0)
    return Fault{"a stream ends in half a word", stream.offset + stream.bytes.size()};
  return {};
}

}  // namespace

Check StreamTasks::add_part(uint32_t section, const SectionShape& shape,
                            const SectionPlanes& planes, size_t part, uint64_t plane_offset) {
  std::vector<uint32_t> coded;
  for (const uint32_t g : planes.base.coding_order) {
    if (!is_empty(planes, part, g)) coded.push_back(g);
  }
  const uint32_t* next = coded.data();
  uint32_t escapes_before = 0;
  for (const StreamView& stream : table_of(planes, part).streams) {
    if (Check check = check_stream(stream); !check) return check;
    StreamTask task{};
    task.offset = plane_offset + stream.offset;
    task.bytes = static_cast<uint32_t>(stream.bytes.size());
    task.lanes = stream.lanes;
    task.groups = stream.groups;
    task.first_group = static_cast<uint32_t>(groups.size());
    task.section = section;
    task.pass = part == 0 ? 0 : static_cast<uint32_t>(part - 1);
    task.escapes = stream.escapes;
    task.first_escape = escapes_before;
    escapes_before += stream.escapes;
    Candidate candidate{static_cast<uint32_t>(streams.size()), shape.coded_tokens, stream.groups,
                        task.bytes, planes.base.scale_class[*next]};
    for (uint32_t i = 0; i < stream.groups; ++i, ++next) {
      groups.push_back(group_task(shape, planes, part, *next));
      if (groups.back().scale_class != candidate.scale_class) candidate.scale_class = kNone;
    }
    streams.push_back(task);
    (part == 0 ? bases_ : passes_[part - 1]).push_back(candidate);
  }
  return {};
}

Check StreamTasks::add(uint32_t section, const SectionShape& shape, const SectionPlanes& planes,
                       std::span<const uint64_t> offsets) {
  for (size_t part = 0; part <= planes.passes.size(); ++part) {
    const size_t plane = part == 0 ? 0 : planes.passes[part - 1].plane;
    if (Check check = add_part(section, shape, planes, part, offsets[plane]); !check)
      return in_plane(plane, check.fault());
  }
  for (uint32_t g = 0; g < shape.groups && shape.coded_tokens > 0; ++g) {
    bool coded = false;
    for (size_t part = 0; part <= planes.passes.size(); ++part) coded |= !is_empty(planes, part, g);
    if (!coded) empty_groups.push_back({section, g, shape.lanes(g), 0});
  }
  return {};
}

// Longest first; two streams go together where they have as many steps and, if it matters, one
// class.
std::vector<PairTask> StreamTasks::pairs_of(std::vector<Candidate>& candidates) {
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.scale_class, b.tokens, b.groups, b.bytes, a.stream) <
           std::tie(b.scale_class, a.tokens, a.groups, a.bytes, b.stream);
  });
  std::vector<PairTask> pairs;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& first = candidates[i];
    const bool both = i + 1 < candidates.size() && candidates[i + 1].tokens == first.tokens &&
                      candidates[i + 1].scale_class == first.scale_class;
    pairs.push_back({{first.stream, both ? candidates[i + 1].stream : kNone}});
    i += both;
  }
  return pairs;
}

void StreamTasks::pair_up() {
  std::stable_sort(bases_.begin(), bases_.end(), [](const Candidate& a, const Candidate& b) {
    return a.scale_class < b.scale_class;
  });
  std::vector<Candidate> others;
  for (size_t i = 0; i < bases_.size();) {
    std::vector<Candidate> of_class;
    const uint32_t scale_class = bases_[i].scale_class;
    for (; i < bases_.size() && bases_[i].scale_class == scale_class; ++i)
      of_class.push_back(bases_[i]);
    const std::vector<PairTask> pairs = pairs_of(of_class);
    if (scale_class == kNone || pairs.size() < kLeastTeamPairs) {
      others.insert(others.end(), of_class.begin(), of_class.end());
      continue;
    }
    for (uint32_t first = 0; first < pairs.size(); first += kTeamPairs) {
      const auto count = std::min(kTeamPairs, static_cast<uint32_t>(pairs.size()) - first);
      teams.push_back({scale_class, static_cast<uint32_t>(team_pairs.size()) + first, count, 0});
    }
    team_pairs.insert(team_pairs.end(), pairs.begin(), pairs.end());
  }
  for (Candidate& candidate : others) candidate.scale_class = kNone;
  base_pairs = pairs_of(others);
  for (size_t pass = 0; pass < passes_.size(); ++pass) {
    for (Candidate& candidate : passes_[pass]) candidate.scale_class = kNone;
    pass_pairs[pass] = pairs_of(passes_[pass]);
  }
}

}  // namespace kvcast::kernels
