// Codes the streams of a section together. Vector kernels take several in lock step: those whose
// next groups have all 32 lanes. The bytes do not depend on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/entropy/rans_encode_kernels.h"

namespace kvcast::kernels {

// A channel group of a stream: `steps` steps of `lanes` symbol indices, [step][lane].
struct GroupToEncode {
  const EncodeTable* table;
  const uint8_t* indices;
  uint32_t lanes;
};

// `streams`: the groups of each, in decoding order. Answers each one's states and words, unpadded.
std::vector<std::vector<std::byte>> encode_streams(
    std::span<const std::vector<GroupToEncode>> streams, uint32_t steps, EncodeSymbols kernel);

}  // namespace kvcast::kernels
