// For fuzz targets whose good inputs are hard to come by: the fuzzer writes changes to a good one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvcast::fuzz {

// Each five bytes of the script: what to do (set, flip, cut, insert), a u24 place modulo the size,
// and a value.
inline void apply_edits(std::vector<std::byte>& bytes, std::span<const uint8_t> script) {
  for (; script.size() >= 5 && !bytes.empty(); script = script.subspan(5)) {
    const size_t at = (script[1] | script[2] << 8 | script[3] << 16) % bytes.size();
    switch (script[0] % 4) {
      case 0:
        bytes[at] = std::byte{script[4]};
        break;
      case 1:
        bytes[at] ^= std::byte{script[4]};
        break;
      case 2:
        bytes.resize(at);
        break;
      default:
        bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), std::byte{script[4]});
    }
  }
}

}  // namespace kvcast::fuzz
