#include <array>
#include <numeric>
#include <stdexcept>
#include <string>

#include "kernels/plane.h"
#include "kernels/plane/channels.h"
#include "kernels/plane/writer.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

// The sum of term(i) over i < count, in a fixed order that lets eight additions overlap.
template <typename Term>
double sum_of(size_t count, Term term) {
  std::array<double, 8> parts{};
  size_t i = 0;
  for (; i + parts.size() <= count; i += parts.size()) {
    for (size_t part = 0; part < parts.size(); ++part) parts[part] += term(i + part);
  }
  for (; i < count; ++i) parts[0] += term(i);
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

// Adds one group's squared error at every level.
void measure_error(const SectionCodec& codec, const ScaleClass& scale_class,
                   std::span<const float> y, std::span<const int32_t> q,
                   std::vector<double>& squared_error) {
  std::vector<int32_t> values(q.size());
  std::vector<uint16_t> reconstructed(q.size());
  for (size_t level = 0; level < codec.drop_bits.size(); ++level) {
    const uint32_t bits = codec.drop_bits[level];
    for (size_t i = 0; i < q.size(); ++i) values[i] = drop_bits(q[i], bits);
    const uint32_t passes = codec.drop_bits[0] - bits;
    reconstruct({codec.step, codec.rounding, bits, scale_class.reconstruction[passes]}, values,
                reconstructed);
    squared_error[level] += sum_of(y.size(), [&](size_t i) {
      const double error = double{y[i]} - double{bf16_to_f32(reconstructed[i])};
      return error * error;
    });
  }
}

// Quantises and chooses classes; the base drops `dropped_bits`. `measure(group, class, y)` sees
// every group.
template <typename Measure>
Checked<QuantisedSection> quantise_section(const Codec& codec, const SectionShape& shape,
                                           uint32_t dropped_bits,
                                           std::span<const float> coefficients, Measure measure) {
  QuantisedSection section;
  section.dropped_bits = dropped_bits;
  section.q.resize(coefficients.size());
  quantise(coefficients, shape.codec->step, shape.codec->rounding, section.q);
  for (uint32_t g = 0; g < shape.groups; ++g) {
    const auto q = section.group(shape, g);
    auto choice = choose_class(codec.tables().classes, count_symbols(q, dropped_bits));
    if (!choice) {
      return Fault{"no class of the profile has the symbols that channel group " +
                   std::to_string(g) + " needs"};
    }
    measure(*choice,
            coefficients.subspan(static_cast<size_t>(q.data() - section.q.data()), q.size()), q);
    section.choices.push_back(std::move(*choice));
  }
  return section;
}

Checked<SectionShape> checked_shape(const Codec& codec, uint32_t group, Side side,
                                    TokenRange tokens, size_t layer_views) {
  auto shape = shape_of_section(codec.profile(), group, side, tokens);
  if (shape && shape->layers.layers != layer_views)
    throw std::invalid_argument("not one view for each layer");
  return shape;
}

}  // namespace

Checked<EncodedSection> encode_section(const Codec& codec, uint32_t group, Side side,
                                       TokenRange tokens, DType dtype,
                                       std::span<const TensorView> layers) {
  const auto shape = checked_shape(codec, group, side, tokens, layers.size());
  if (!shape) return shape.fault();
  const auto coefficients = load_coefficients(*shape, dtype, layers);
  if (!coefficients) return coefficients.fault();

  const std::vector<uint8_t>& ladder = shape->codec->drop_bits;
  EncodedSection encoded;
  encoded.squared_error.assign(ladder.size(), 0);
  const auto measure = [&](const ClassChoice& choice, std::span<const float> y,
                           std::span<const int32_t> q) {
    const ScaleClass& scale_class = codec.profile().classes[choice.scale_class];
    measure_error(*shape->codec, scale_class, y, q, encoded.squared_error);
    encoded.energy += sum_of(y.size(), [&](size_t i) { return double{y[i]} * double{y[i]}; });
  };
  const auto section = quantise_section(codec, *shape, ladder[0], *coefficients, measure);
  if (!section) return section.fault();

  encoded.planes.push_back(write_base(*shape, codec.tables().classes, *section));
  for (size_t level = 1; level < ladder.size(); ++level) {
    ByteWriter plane;
    for (uint32_t bits = ladder[level - 1]; bits > ladder[level]; --bits) {
      write_pass(*shape, codec.tables().classes, *section, ladder[0] - bits, plane);
    }
    encoded.planes.push_back(std::move(plane).finish());
  }
  return encoded;
}

}  // namespace kvcast::kernels
