// The loops behind QuantisingKernels, written once for the compiler to vectorise: every file that
// includes this is compiled for its own instruction set and gets functions of its own (internal
// linkage). No jumps in them: the values are random.
#pragma once

#include "kernels/quantise/quantising_kernels.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kSignBit = 0x80000000;
constexpr size_t kParts = 32;

uint32_t bits_of(float x) {
  return __builtin_bit_cast(uint32_t, x);
}

int32_t with_sign(int32_t magnitude, int32_t sign) {  // sign: 0 or -1
  return (magnitude ^ sign) - sign;
}

int32_t dropped(int32_t q, uint32_t bits) {
  const int32_t sign = q >> 31;
  return with_sign(with_sign(q, sign) >> bits, sign);
}

[[maybe_unused]] bool load_bf16_rows(const std::byte* x, size_t stride, size_t rows,
                                     const float* mean, const float* scale, float* y) {
  constexpr size_t kRow = 32, kAhead = 16;  // rows further on that may be read soon
  float shift[kRow], factor[kRow];
  for (size_t c = 0; c < kRow; ++c) {
    shift[c] = mean[c];
    factor[c] = 1.0f / scale[c];
  }
  int32_t largest[kRow] = {};
  for (size_t row = 0; row < rows; ++row, x += stride, y += kRow) {
    __builtin_prefetch(x + kAhead * stride);
    uint16_t bits[kRow];
    __builtin_memcpy(bits, x, sizeof(bits));
    for (size_t c = 0; c < kRow; ++c) {
      const float value = __builtin_bit_cast(float, static_cast<uint32_t>(bits[c]) << 16);
      y[c] = (value - shift[c]) * factor[c];
      const auto magnitude = static_cast<int32_t>(bits_of(y[c]) & ~kSignBit);
      largest[c] = largest[c] < magnitude ? magnitude : largest[c];
    }
  }
  int32_t most = 0;
  for (const int32_t of_channel : largest) most = most < of_channel ? of_channel : most;
  return most < 0x7F800000;
}

// |y| / step + rounding.
float place_of(float y, float inverse_step, float rounding) {
  return __builtin_bit_cast(float, bits_of(y) & ~kSignBit) * inverse_step + rounding;
}

int32_t magnitude_at(float place) {
  constexpr float kLimit = 1 << 30;
  const float bounded = place < kLimit ? place : kLimit;  // NaN: the limit
  const auto truncated = static_cast<int32_t>(bounded);
  return bits_of(place) > 0x7F800000 ? 0 : truncated;
}

void quantise_to_nearest(const float* __restrict y, size_t count, float step, float rounding,
                         int32_t* __restrict q) {
  const float inverse = 1.0f / step;
  for (size_t i = 0; i < count; ++i) {
    q[i] = with_sign(magnitude_at(place_of(y[i], inverse, rounding)),
                     static_cast<int32_t>(bits_of(y[i])) >> 31);
  }
}

void quantise_by_thresholds(const float* __restrict y, size_t count, float step, float rounding,
                            const ValueThresholds& thresholds, int32_t* __restrict q) {
  constexpr int32_t kLast = ValueThresholds::kMagnitudes - 1;
  const float inverse = 1.0f / step;
  for (size_t i = 0; i < count; ++i) {
    const float place = place_of(y[i], inverse, rounding);
    const int32_t magnitude = magnitude_at(place);
    const int32_t index = magnitude < kLast ? magnitude : kLast;
    const int32_t moved =
        magnitude + (place > thresholds.up[index]) - (place < thresholds.down[index]);
    q[i] = with_sign(moved, static_cast<int32_t>(bits_of(y[i])) >> 31);
  }
}

[[maybe_unused]] void quantise(const float* y, size_t count, float step, float rounding,
                               const ValueThresholds* thresholds, int32_t* q) {
  if (thresholds) {
    quantise_by_thresholds(y, count, step, rounding, *thresholds, q);
  } else {
    quantise_to_nearest(y, count, step, rounding, q);
  }
}

uint32_t base_values(const int32_t* __restrict q, size_t count, uint32_t dropped_bits,
                     int8_t* __restrict values) {
  int32_t magnitudes = 0;
  for (size_t i = 0; i < count; ++i) {
    const int32_t sign = q[i] >> 31;
    const int32_t magnitude = with_sign(q[i], sign) >> dropped_bits;
    const int32_t bounded = magnitude < kMaxBaseByte ? magnitude : kMaxBaseByte;
    values[i] = static_cast<int8_t>(with_sign(bounded, sign));
    magnitudes |= magnitude;
  }
  return static_cast<uint32_t>(magnitudes);
}

void base_symbols(size_t count, int32_t largest, uint8_t* values) {
  const auto shift = static_cast<uint8_t>(largest), escape = static_cast<uint8_t>(2 * largest + 1);
  for (size_t i = 0; i < count; ++i) {
    const auto symbol = static_cast<uint8_t>(values[i] + shift);
    values[i] = symbol < escape ? symbol : escape;
  }
}

[[maybe_unused]] void count_bytes(const uint8_t* bytes, size_t count, uint8_t first,
                                  uint32_t number, uint32_t* counts) {
  // Four tables, so that equal neighbours need not wait for each other's count.
  uint32_t tables[4][256] = {};
  for (size_t i = 0; i < count; ++i) ++tables[i % 4][bytes[i]];
  for (uint32_t i = 0; i < number; ++i) {
    for (auto& table : tables) counts[i] += table[static_cast<uint8_t>(first + i)];
  }
}

[[maybe_unused]] size_t base_escapes(const int32_t* q, size_t count, uint32_t dropped_bits,
                                     int32_t largest, int32_t* escaped) {
  size_t appended = 0;
  for (size_t i = 0; i < count; ++i) {
    const int32_t value = dropped(q[i], dropped_bits);
    escaped[appended] = value;
    appended += (value < -largest) | (value > largest);
  }
  return appended;
}

void pass_symbols(const int32_t* __restrict q, size_t count, uint32_t dropped_bits,
                  uint8_t* __restrict indices) {
  for (size_t i = 0; i < count; ++i) {
    const int32_t sign = q[i] >> 31;
    const int32_t magnitude = with_sign(q[i], sign);
    const int32_t before = magnitude >> dropped_bits;
    const int32_t bit = magnitude >> (dropped_bits - 1) & 1;
    const int32_t context = before < 2 ? before : 2;
    // -1 is symbol 2 of context 0.
    const int32_t negative = before == 0 ? bit & sign : 0;
    indices[i] = static_cast<uint8_t>(4 * context + bit + negative);
  }
}

uint32_t select(bool first, uint32_t a, uint32_t b) {
  const uint32_t mask = first ? 0xFFFFFFFF : 0;
  return (a & mask) | (b & ~mask);
}

// bf16, as in kernels/quantise/quantiser.h.
float reconstructed(const CellReconstruction& how, uint32_t dropped_bits, int32_t q) {
  const int32_t sign = q >> 31;
  const int32_t magnitude = with_sign(q, sign) >> dropped_bits;
  const auto inside = __builtin_bit_cast(
      float, select(magnitude == 1, bits_of(how.fraction[0]), bits_of(how.fraction[1])));
  const float y = how.step * ((static_cast<float>(magnitude) + inside) * how.cell - how.rounding);
  const uint32_t bits = bits_of(y) ^ (static_cast<uint32_t>(q) & kSignBit);
  const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000;
  return __builtin_bit_cast(float, select(magnitude == 0, 0, rounded));
}

template <typename Term>
double sum_of_squares(size_t count, Term term) {
  double parts[kParts] = {};
  size_t i = 0;
  for (; i + kParts <= count; i += kParts) {
    for (size_t part = 0; part < kParts; ++part) {
      const double value = term(i + part);
      parts[part] += value * value;
    }
  }
  for (size_t part = 0; i < count; ++i, ++part) {
    const double value = term(i);
    parts[part] += value * value;
  }
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

[[maybe_unused]] double energy(const float* y, size_t count) {
  return sum_of_squares(count, [y](size_t i) { return static_cast<double>(y[i]); });
}

[[maybe_unused]] double squared_error(const CellReconstruction& how, uint32_t dropped_bits,
                                      const float* y, const int32_t* q, size_t count) {
  const CellReconstruction copy = how;
  return sum_of_squares(count, [=](size_t i) {
    return static_cast<double>(y[i] - reconstructed(copy, dropped_bits, q[i]));
  });
}

}  // namespace
}  // namespace kvcast::kernels
