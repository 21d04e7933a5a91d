#include "packager/source/finite.h"

#include <cstring>

namespace kvcast::packager {
namespace {

using kernels::DType;

// An element is not finite when all bits of its exponent are set.
template <typename Word>
struct Layout {
  Word exponent, mantissa, sign;
};
constexpr Layout<uint16_t> kF16Layout{0x7C00, 0x03FF, 0x8000};
constexpr Layout<uint16_t> kBf16Layout{0x7F80, 0x007F, 0x8000};
constexpr Layout<uint32_t> kF32Layout{0x7F800000, 0x007FFFFF, 0x80000000};

template <typename Word>
Word load(std::span<const std::byte> bytes, size_t element) {
  Word word;
  std::memcpy(&word, bytes.data() + element * sizeof word, sizeof word);
  return word;
}

// Counted without a branch, so that the scan of a good tensor runs at the speed of memory.
template <typename Word>
uint64_t count(Layout<Word> layout, std::span<const std::byte> bytes) {
  const size_t elements = bytes.size() / sizeof(Word);
  uint64_t found = 0;
  for (size_t i = 0; i < elements; ++i) {
    found += (load<Word>(bytes, i) & layout.exponent) == layout.exponent;
  }
  return found;
}

template <typename Word>
std::optional<NonFinite> find(Layout<Word> layout, std::span<const std::byte> bytes) {
  if (count(layout, bytes) == 0) return std::nullopt;
  size_t i = 0;
  while ((load<Word>(bytes, i) & layout.exponent) != layout.exponent) ++i;
  const Word word = load<Word>(bytes, i);
  if (word & layout.mantissa) return NonFinite{i, "NaN"};
  return NonFinite{i, word & layout.sign ? "-infinity" : "infinity"};
}

template <typename Word>
void clear(Layout<Word> layout, std::span<std::byte> bytes) {
  for (size_t i = 0; i < bytes.size() / sizeof(Word); ++i) {
    if ((load<Word>(bytes, i) & layout.exponent) != layout.exponent) continue;
    std::memset(bytes.data() + i * sizeof(Word), 0, sizeof(Word));
  }
}

}  // namespace

std::optional<NonFinite> find_non_finite(DType dtype, std::span<const std::byte> bytes) {
  if (dtype == DType::kF32) return find(kF32Layout, bytes);
  return find(dtype == DType::kF16 ? kF16Layout : kBf16Layout, bytes);
}

uint64_t count_non_finite(DType dtype, std::span<const std::byte> bytes) {
  if (dtype == DType::kF32) return count(kF32Layout, bytes);
  return count(dtype == DType::kF16 ? kF16Layout : kBf16Layout, bytes);
}

void clear_non_finite(DType dtype, std::span<std::byte> bytes) {
  if (dtype == DType::kF32) return clear(kF32Layout, bytes);
  clear(dtype == DType::kF16 ? kF16Layout : kBf16Layout, bytes);
}

}  // namespace kvcast::packager
