#include "kernels/plane/section_walks.h"

#include <algorithm>
#include <utility>

namespace kvcast::kernels {
namespace {

const StreamTable& table_of(const SectionPlanes& planes, size_t part) {
  return part == 0 ? planes.base.table : planes.passes[part - 1].table;
}

}  // namespace

Fault PartStream::at(const Fault& fault) const {
  return in_plane(plane, {fault.what, view->offset + fault.offset});
}

Walk::Walk(const SectionPlanes& planes, std::span<const uint32_t> groups,
           std::vector<PartStream*> streams)
    : planes_(&planes), groups_(groups), streams_(std::move(streams)) {}

bool Walk::empty(size_t part) const {
  return table_of(*planes_, part).empty[group()] != 0;
}

Check Walk::advance() {
  for (size_t part = 0; part < streams_.size(); ++part) {
    if (empty(part)) continue;
    PartStream& stream = *streams_[part];
    if (Check check = stream.decoder.resume(stream.cursor); !check) return stream.at(check.fault());
    if (--stream.groups_left > 0) continue;
    if (Check check = stream.decoder.finish(); !check) return stream.at(check.fault());
    ++streams_[part];
  }
  groups_ = groups_.subspan(1);
  return {};
}

Check SectionWalks::open() {
  if (Check check = open_part(0, planes_->base.table); !check) return check;
  for (const PassView& pass : planes_->passes) {
    if (Check check = open_part(pass.plane, pass.table); !check) return check;
  }
  make_walks();
  return {};
}

Check SectionWalks::open_part(size_t plane, const StreamTable& table) {
  const size_t section_bytes = planes_->bytes[plane].size();
  std::vector<PartStream>& streams = parts_.emplace_back();
  streams.reserve(table.streams.size());
  uint32_t escapes = 0;
  for (const StreamView& view : table.streams) {
    std::span<const std::byte> bytes = view.bytes;
    if (section_bytes - view.offset - bytes.size() < kReadAhead) {
      auto& copy = copies_.emplace_back(bytes.begin(), bytes.end());
      copy.resize(bytes.size() + kReadAhead);
      bytes = std::span(copy).first(bytes.size());
    }
    const auto decoder = RansDecoder::open(bytes, view.lanes);
    if (!decoder) {
      const Fault& fault = decoder.fault();
      return in_plane(plane, {fault.what, view.offset + fault.offset});
    }
    streams.push_back({&view, plane, *decoder, decoder->cursor(), view.groups, escapes});
    escapes += view.escapes;
  }
  return {};
}

void SectionWalks::make_walks() {
  for (const uint32_t g : planes_->base.coding_order) {
    bool coded = false;
    for (size_t part = 0; part < parts_.size(); ++part) coded |= !table_of(*planes_, part).empty[g];
    (coded ? groups_ : empty_groups_).push_back(g);
  }
  std::vector<PartStream*> next, first;
  for (auto& streams : parts_) next.push_back(streams.data());
  std::vector<uint32_t> seen(parts_.size());  // groups of each part's next stream
  size_t begin = 0;
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (begin == i) first = next;
    for (size_t part = 0; part < parts_.size(); ++part) {
      if (table_of(*planes_, part).empty[groups_[i]]) continue;
      if (++seen[part] < next[part]->groups_left) continue;
      seen[part] = 0;
      ++next[part];
    }
    if (std::any_of(seen.begin(), seen.end(), [](uint32_t groups) { return groups > 0; })) continue;
    walks_.emplace_back(*planes_, std::span(groups_).subspan(begin, i + 1 - begin), first);
    begin = i + 1;
  }
}

}  // namespace kvcast::kernels
