#include "kernels/plane/value_choice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <numbers>

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

constexpr double kRateWeight = 0.7;  // measured: kernels/plane_format.md, section 6
constexpr double kEscapeBits = 16;
constexpr float kNever = std::numeric_limits<float>::infinity();

// Of the level that drops `bits`, in finest steps.
double inverse_lambda(uint32_t bits) {
  return 6 / (kRateWeight * std::numbers::ln2 * std::ldexp(1.0, 2 * static_cast<int>(bits)));
}

// What the level that drops `bits` makes of a finest magnitude, in steps.
double reconstructed(const ScaleClass& scale_class, const SectionCodec& codec, uint32_t bits,
                     uint32_t finest) {
  const uint32_t magnitude = finest >> bits;
  if (magnitude == 0) return 0;
  const auto& fraction = scale_class.reconstruction[codec.drop_bits[0] - bits];
  return std::ldexp(magnitude + double{fraction[magnitude == 1 ? 0 : 1]}, static_cast<int>(bits)) -
         double{codec.rounding};
}

// The bits that each level needs for a value, summed over the levels.
double bits_over_levels(const ClassTables& tables, const SectionCodec& codec, int32_t q) {
  const std::vector<uint8_t>& ladder = codec.drop_bits;
  int32_t value = drop_bits(q, ladder[0]);
  const bool escapes = value < -tables.largest() || value > tables.largest();
  const auto symbol =
      escapes ? uint32_t{tables.escape()} : static_cast<uint32_t>(value + tables.largest());
  double bits = double{tables.base.bits(symbol)} + (escapes ? kEscapeBits : 0);
  double sum = bits;
  for (size_t level = 1; level < ladder.size(); ++level) {
    for (uint32_t left = ladder[level - 1]; left > ladder[level]; --left) {
      const int32_t refined = drop_bits(q, left - 1);
      const AliasTable& table = tables.passes[ladder[0] - left][refinement_context(value)];
      bits += double{table.bits(refinement_symbol(value, refined))};
      value = refined;
    }
    sum += bits;
  }
  return sum;
}

// The cost of one magnitude, less what all magnitudes share, is a line over the place of |y| in
// steps: constant - slope * place. Signs cost the mean of both.
struct CostLine {
  double constant = 0, slope = 0;
};

CostLine cost_line(const ClassTables& tables, const ScaleClass& scale_class,
                   const SectionCodec& codec, int32_t magnitude) {
  CostLine line;
  for (const uint8_t bits : codec.drop_bits) {
    const double y = reconstructed(scale_class, codec, bits, static_cast<uint32_t>(magnitude));
    line.constant += inverse_lambda(bits) * y * y;
    line.slope += 2 * inverse_lambda(bits) * y;
  }
  line.constant +=
      (bits_over_levels(tables, codec, magnitude) + bits_over_levels(tables, codec, -magnitude)) /
      2;
  return line;
}

// Where two lines cross, in units of ValueThresholds; not finite where a class lacks a symbol.
float crossing(const CostLine& lower, const CostLine& upper, const SectionCodec& codec) {
  const double place = (upper.constant - lower.constant) / (upper.slope - lower.slope);
  return static_cast<float>(place + double{codec.rounding});
}

}  // namespace

ValueThresholds value_thresholds(const ClassTables& tables, const ScaleClass& scale_class,
                                 const SectionCodec& codec) {
  constexpr uint32_t kLast = ValueThresholds::kMagnitudes - 1;
  std::array<CostLine, kLast> lines;
  for (uint32_t magnitude = 0; magnitude < kLast; ++magnitude)
    lines[magnitude] = cost_line(tables, scale_class, codec, static_cast<int32_t>(magnitude));
  ValueThresholds thresholds;
  std::fill(std::begin(thresholds.down), std::end(thresholds.down), -kNever);
  std::fill(std::begin(thresholds.up), std::end(thresholds.up), kNever);
  for (uint32_t magnitude = 1; magnitude < kLast; ++magnitude) {
    const float place = crossing(lines[magnitude - 1], lines[magnitude], codec);
    if (std::isfinite(place)) thresholds.up[magnitude - 1] = thresholds.down[magnitude] = place;
  }
  for (uint32_t magnitude = 1; magnitude + 1 < kLast; ++magnitude) {
    if (thresholds.down[magnitude] <= thresholds.up[magnitude]) continue;
    // Its neighbours meet where either is cheaper.
    thresholds.up[magnitude] = thresholds.down[magnitude] =
        crossing(lines[magnitude - 1], lines[magnitude + 1], codec);
  }
  return thresholds;
}

}  // namespace kvcast::kernels
