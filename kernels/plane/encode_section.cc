#include <array>
#include <stdexcept>
#include <string>

#include "kernels/plane.h"
#include "kernels/plane/channels.h"
#include "kernels/plane/writer.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

// Adds one group's squared error at every level, and its energy.
void measure(const Codec& codec, const SectionCodec& section, const ClassChoice& choice,
             std::span<const float> y, std::span<const int32_t> q, EncodedSection& encoded) {
  const QuantisingKernels& kernels = *codec.tables().encoding->quantising;
  const auto& reconstruction = codec.profile().classes[choice.scale_class].reconstruction;
  for (size_t level = 0; level < section.drop_bits.size(); ++level) {
    const uint32_t bits = section.drop_bits[level];
    const std::array<float, 2>& fraction = reconstruction[section.drop_bits[0] - bits];
    const CellReconstruction how{
        section.step, section.rounding, static_cast<float>(1u << bits), {fraction[0], fraction[1]}};
    encoded.squared_error[level] += kernels.squared_error(how, bits, y.data(), q.data(), q.size());
  }
  encoded.energy += kernels.energy(y.data(), y.size());
}

// Quantises group by group, chooses their classes, and measures what that costs at every level.
Checked<QuantisedSection> quantise_section(const Codec& codec, const SectionShape& shape,
                                           std::span<const float> coefficients,
                                           EncodedSection& encoded) {
  const QuantisingKernels& kernels = *codec.tables().encoding->quantising;
  QuantisedSection section;
  section.dropped_bits = shape.codec->drop_bits[0];
  section.q.resize(coefficients.size());
  for (uint32_t g = 0; g < shape.groups; ++g) {
    const size_t begin = size_t{g} * kLanes * shape.coded_tokens;
    const std::span<int32_t> q =
        std::span(section.q).subspan(begin, size_t{shape.lanes(g)} * shape.coded_tokens);
    const auto y = coefficients.subspan(begin, q.size());
    kernels.quantise(y.data(), y.size(), shape.codec->step, shape.codec->rounding, q.data());
    auto choice =
        choose_class(codec.tables().classes, count_symbols(q, section.dropped_bits, kernels));
    if (!choice) {
      return Fault{"no class of the profile has the symbols that channel group " +
                   std::to_string(g) + " needs"};
    }
    measure(codec, *shape.codec, *choice, y, q, encoded);
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
  const auto coefficients = load_coefficients(*codec.tables().channels, *shape, dtype, layers);
  if (!coefficients) return coefficients.fault();

  const std::vector<uint8_t>& ladder = shape->codec->drop_bits;
  EncodedSection encoded;
  encoded.squared_error.assign(ladder.size(), 0);
  const auto section = quantise_section(codec, *shape, *coefficients, encoded);
  if (!section) return section.fault();

  encoded.planes.push_back(write_base(codec.tables(), *shape, *section));
  for (size_t level = 1; level < ladder.size(); ++level) {
    ByteWriter plane;
    for (uint32_t bits = ladder[level - 1]; bits > ladder[level]; --bits) {
      write_pass(codec.tables(), *shape, *section, ladder[0] - bits, plane);
    }
    encoded.planes.push_back(std::move(plane).finish());
  }
  return encoded;
}

}  // namespace kvcast::kernels
