#include "packager/source/finite.h"

#include <cstring>

namespace kvcast::packager {
namespace {

using kernels::DType;

// An element is not finite when all bits of its exponent are set; E4M3 has but one magnitude that
// is not, NaN, so that there all bits below the sign count as exponent.
template <typename Word>
struct Layout {
  Word exponent, mantissa, sign;
};
constexpr Layout<uint16_t> kF16Layout{0x7C00, 0x03FF, 0x8000};
constexpr Layout<uint16_t> kBf16Layout{0x7F80, 0x007F, 0x8000};
constexpr Layout<uint32_t> kF32Layout{0x7F800000, 0x007FFFFF, 0x80000000};
constexpr Layout<uint8_t> kE4M3Layout{0x7F, 0x7F, 0x80};
constexpr Layout<uint8_t> kE5M2Layout{0x7C, 0x03, 0x80};

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

template <typename Use>
auto with_layout(DType dtype, Use use) {
  switch (dtype) {
    case DType::kF16:
      return use(kF16Layout);
    case DType::kBf16:
      return use(kBf16Layout);
    case DType::kF32:
      return use(kF32Layout);
    case DType::kF8E4M3:
      return use(kE4M3Layout);
    case DType::kF8E5M2:
      break;
  }
  return use(kE5M2Layout);
}

}  // namespace

std::optional<NonFinite> find_non_finite(DType dtype, std::span<const std::byte> bytes) {
  return with_layout(dtype, [&](auto layout) { return find(layout, bytes); });
}

uint64_t count_non_finite(DType dtype, std::span<const std::byte> bytes) {
  return with_layout(dtype, [&](auto layout) { return count(layout, bytes); });
}

void clear_non_finite(DType dtype, std::span<std::byte> bytes) {
  with_layout(dtype, [&](auto layout) { clear(layout, bytes); });
}

}  // namespace kvcast::packager
