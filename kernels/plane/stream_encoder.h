// Codes channel groups as streams. Vector kernels take several streams in lock step: those whose
// next groups have all 32 lanes. The bytes do not depend on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/entropy/rans_encode_kernels.h"
#include "kernels/plane/section_shape.h"
#include "kernels/plane/stream_cut.h"

namespace kvcast::kernels {

struct EncodedStream {
  std::span<const CodedGroup> groups;
  std::vector<std::byte> bytes;  // states and words, unpadded
};

// The symbols of the groups of a base section or of one pass.
struct GroupSymbols {
  std::function<const EncodeTable*(const CodedGroup&)> table;
  std::function<std::span<const uint8_t>(const CodedGroup&)> indices;  // [coded token][lane]
};

// `order`: the non-empty groups in coding order, cut by cut_streams() with `overhead_bytes`.
std::vector<EncodedStream> encode_streams(const SectionShape& shape,
                                          std::span<const CodedGroup> order, size_t overhead_bytes,
                                          const GroupSymbols& symbols, EncodeSymbols kernel);

}  // namespace kvcast::kernels
