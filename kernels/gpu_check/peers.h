// What ours is measured beside, on the same symbols and in the same run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvcast::kernels::gpu_check {

struct Rate {
  std::string name;
  double bytes_out = 0;  // bf16, or bytes copied
  double bytes_in = 0;   // compressed, where there is such a thing
  double seconds = 0;    // the least of several runs
  std::string note;      // what is counted
  double bytes_per_s() const { return seconds > 0 ? bytes_out / seconds : 0; }
};

// Symbols of `channels` channels, [token][channel], as a decoder must give them back times 1/8.
struct Symbols {
  uint32_t alphabet = 0, tokens = 0, channels = 0;
  std::vector<uint8_t> values;  // below alphabet; value = (symbol - alphabet / 2) / 8
};

// Independent, of a normal distribution whose quantised entropy is about `bits`, 1.2 to 4.
Symbols normal_symbols(double bits, uint32_t tokens, uint32_t channels, uint32_t seed);

Rate copy_on_device(size_t bytes, int runs);
Rate copy_from_pinned(size_t bytes, int runs);

// `copies` times the same tokens, each decoded from memory of its own to memory of its own.
// Throws std::runtime_error when what comes out is wrong.
Rate decode_with_arithmetic(const Symbols& symbols, uint32_t copies, int runs);

// nvCOMP's ANS in chunks of 64 KiB, then a pass that dequantises. Nothing: built without nvCOMP.
std::optional<Rate> decode_with_nvcomp(const Symbols& symbols, uint32_t copies, int runs);

}  // namespace kvcast::kernels::gpu_check
