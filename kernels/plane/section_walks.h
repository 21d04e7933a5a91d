// The streams of a section's base and passes, opened, and walks over its channel groups. A walk
// covers a run of the coding order at whose start every part begins a stream, and at whose end
// every part has finished one; so walks can be decoded independently, each a group at a time: all
// parts of a group in lock step, and several walks beside each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/entropy/rans.h"
#include "kernels/fault.h"
#include "kernels/plane/section_planes.h"

namespace kvcast::kernels {

struct PartStream {
  const StreamView* view;
  size_t plane;
  RansDecoder decoder;  // at the start of a group
  RansCursor cursor;    // the same for vector kernels, which move it over the group
  uint32_t groups_left;
  uint32_t escapes_before;  // in the section

  Fault at(const Fault& fault) const;
};

// Part 0 is the base, part 1 + p pass p.
using Parts = std::vector<std::vector<PartStream>>;

class Walk {
 public:
  // `groups`: those that some part codes, in coding order. `streams`: the first of each part. All
  // arguments must outlive this.
  Walk(const SectionPlanes& planes, std::span<const uint32_t> groups,
       std::vector<PartStream*> streams);

  size_t groups_left() const { return groups_.size(); }
  uint32_t group() const { return groups_[0]; }

  // Of the group. nullptr: the part has no symbols for it.
  PartStream* stream(size_t part) const { return empty(part) ? nullptr : streams_[part]; }
  size_t parts() const { return streams_.size(); }

  // The group is decoded; its cursors stand at its end. Fault: words ran out, or a stream did not
  // end well.
  Check advance();

 private:
  bool empty(size_t part) const;

  const SectionPlanes* planes_;
  std::span<const uint32_t> groups_;  // to be decoded
  std::vector<PartStream*> streams_;  // [part]: of the first group that the part codes
};

// Everything points into `planes`, which must outlive this; it must not move.
class SectionWalks {
 public:
  explicit SectionWalks(const SectionPlanes& planes) : planes_(&planes) {}
  SectionWalks(const SectionWalks&) = delete;

  Check open();  // Fault: a stream that cannot begin
  std::span<Walk> walks() { return walks_; }
  std::span<const uint32_t> empty_groups() const { return empty_groups_; }  // in all parts

 private:
  Check open_part(size_t plane, const StreamTable& table);
  void make_walks();

  const SectionPlanes* planes_;
  std::vector<std::vector<std::byte>> copies_;  // of streams too close to their section's end
  Parts parts_;
  std::vector<uint32_t> groups_, empty_groups_;
  std::vector<Walk> walks_;
};

}  // namespace kvcast::kernels
