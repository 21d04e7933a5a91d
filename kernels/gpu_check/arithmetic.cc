#include "kernels/gpu_check/arithmetic.h"

#include <algorithm>

namespace kvcast::kernels::gpu_check {
namespace {

class BitWriter {
 public:
  void put(uint32_t bit) {
    if (bits_ % 8 == 0) bytes_.push_back(0);
    bytes_.back() = static_cast<uint8_t>(bytes_.back() | bit << (7 - bits_ % 8));
    ++bits_;
  }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
  size_t bits_ = 0;
};

}  // namespace

Cumulative cumulative_of(std::span<const uint8_t> symbols, uint32_t alphabet) {
  std::vector<uint64_t> counts(alphabet, 1);  // what has not occurred stays codable
  for (const uint8_t symbol : symbols) ++counts[symbol];
  const uint64_t all = symbols.size() + alphabet;
  Cumulative table(alphabet + 1);
  uint64_t below = 0;
  for (uint32_t s = 0; s < alphabet; ++s) {
    below += counts[s];
    // One for each symbol, the rest by count.
    table[s + 1] = static_cast<uint32_t>(s + 1 + below * (65536 - alphabet) / all);
  }
  return table;
}

std::vector<uint8_t> encode_arithmetic(std::span<const uint8_t> symbols, const Cumulative& table) {
  BitWriter out;
  uint32_t low = 0, high = 0xFFFFFFFF;
  uint64_t pending = 0;
  const auto settle = [&](uint32_t bit) {
    out.put(bit);
    for (; pending > 0; --pending) out.put(1 - bit);
  };
  for (const uint8_t symbol : symbols) {
    narrow(low, high, table[symbol], table[symbol + 1u], [&](uint32_t bit) {
      if (bit == 2) {
        ++pending;
      } else {
        settle(bit);
      }
    });
  }
  ++pending;  // enough of `low` to stay inside the bounds, whatever follows
  settle(low < 0x40000000 ? 0 : 1);
  return out.take();
}

}  // namespace kvcast::kernels::gpu_check
