// Reads base and refinement sections: kernels/plane_format.md, section 5. Every count is checked
// against the bytes that remain before it is used. What is parsed points into the section's bytes,
// which must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/entropy/rans.h"
#include "kernels/fault.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

struct StreamView {
  std::span<const std::byte> bytes;
  size_t offset = 0;  // in the section
  uint32_t groups = 0;
  uint32_t escapes = 0;  // base only
  uint32_t lanes = 0;
};

// The streams of a base section or of one pass, and which groups they leave out.
struct StreamTable {
  std::vector<uint8_t> empty;  // [channel group]
  std::vector<StreamView> streams;
};

struct BaseView {
  std::vector<uint8_t> scale_class;    // [channel group]
  std::vector<uint32_t> coding_order;  // all channel groups
  StreamTable table;
  std::span<const std::byte> escapes;
  uint32_t escape_bytes = 2;  // each
  size_t escapes_offset = 0;
};

Checked<BaseView> read_base(const SectionShape& shape, size_t classes,
                            std::span<const std::byte> section);

// `passes`: how many the plane has; none requires an empty section.
Checked<std::vector<StreamTable>> read_refinement(const SectionShape& shape,
                                                  std::span<const uint32_t> coding_order,
                                                  uint32_t passes,
                                                  std::span<const std::byte> section);

// Walks the streams of a table, non-empty group by non-empty group of the coding order.
class StreamWalker {
 public:
  explicit StreamWalker(std::span<const StreamView> streams) : streams_(streams) {}

  // The decoder stands at the first step of the next group. Fault: the stream before did not end
  // well.
  Check next_group();
  RansDecoder& decoder() { return *decoder_; }
  const StreamView& stream() const { return streams_[stream_]; }
  Fault at(const Fault& fault) const { return {fault.what, stream().offset + fault.offset}; }
  bool stream_begins() const {
    return group_ == 1;
  }  // after next_group(): this is the stream's first group

  // After the last group.
  Check finish() const;

 private:
  std::span<const StreamView> streams_;
  std::optional<RansDecoder> decoder_;
  size_t stream_ = 0;
  uint32_t group_ = 0;  // of the stream, the groups begun
};

}  // namespace kvcast::kernels
