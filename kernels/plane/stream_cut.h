// How many streams code a section's groups: kernels/plane_format.md, section 6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvcast::kernels {

struct CodedGroup {
  uint32_t group = 0;
  uint8_t scale_class = 0;
  double bits = 0;
};

// `groups`: the non-empty ones, in coding order. `overhead_bytes`: what one stream costs beside its
// payload. Answers the number of groups in each stream. Classes too small for a stream of their own
// share one with their neighbours; large ones get multiples of four streams of about equal length.
std::vector<uint32_t> cut_streams(std::span<const CodedGroup> groups, size_t overhead_bytes);

}  // namespace kvcast::kernels
