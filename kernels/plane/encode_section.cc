#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/plane.h"
#include "kernels/plane/channels.h"
#include "kernels/plane/row_loader.h"
#include "kernels/plane/value_choice.h"
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

// Of one section, each made when first asked for.
class ThresholdsOfClasses {
 public:
  ThresholdsOfClasses(const Codec& codec, const SectionCodec& section)
      : codec_(codec), section_(section), made_(codec.tables().classes.size()) {}

  const ValueThresholds& of(uint8_t scale_class) {
    std::optional<ValueThresholds>& thresholds = made_[scale_class];
    if (!thresholds) {
      thresholds = value_thresholds(codec_.tables().classes[scale_class],
                                    codec_.profile().classes[scale_class], section_);
    }
    return *thresholds;
  }

 private:
  const Codec& codec_;
  const SectionCodec& section_;
  std::vector<std::optional<ValueThresholds>> made_;
};

// Quantises the channel groups of a section.
class GroupQuantiser {
 public:
  GroupQuantiser(const Codec& codec, const SectionShape& shape, ValueChoice values,
                 EncodeScratch& scratch, SectionSymbols& symbols)
      : codec_(codec),
        kernels_(*codec.tables().encoding->quantising),
        shape_(shape),
        values_(values),
        scratch_(scratch),
        symbols_(symbols),
        thresholds_(codec, *shape.codec) {}

  // Group `g`: chooses its values and class, and measures what that costs at every level.
  Check quantise(uint32_t g, std::span<const float> y, EncodedSection& encoded) {
    auto choice = choose_values(g, y);
    if (!choice) {
      return Fault{"no class of the profile has the symbols that channel group " +
                   std::to_string(g) + " needs"};
    }
    measure(codec_, *shape_.codec, *choice, y, scratch_.q, encoded);
    symbols_.choices.push_back(std::move(*choice));
    finish_base(g);
    return {};
  }

 private:
  // The finest values of a channel group and their class; leaves the values in `scratch`, and in
  // `symbols` the base's as bytes and the passes' symbols.
  std::optional<ClassChoice> choose_values(uint32_t g, std::span<const float> y) {
    std::vector<std::span<uint8_t>> parts;
    for (size_t part = 0; part < symbols_.parts.size(); ++part)
      parts.push_back(symbols_.indices(shape_, part, g));
    if (values_ == ValueChoice::kRateDistortion) {
      const auto nearest = class_of_sample(g, y);
      // Zeros that cost nothing stay: any class would do for them.
      if (nearest && !is_empty(*nearest)) {
        auto choice = class_of_values(y, &thresholds_.of(nearest->scale_class), parts);
        if (choice) return choice;
      }
    }
    return class_of_values(y, nullptr, parts);
  }

  // The class of the nearest values of some steps: enough to tell the thresholds.
  std::optional<ClassChoice> class_of_sample(uint32_t g, std::span<const float> y) {
    constexpr size_t kStride = 4, kLeastSteps = 64;
    const size_t lanes = shape_.lanes(g), steps = y.size() / lanes;
    const size_t stride = steps < kStride * kLeastSteps ? 1 : kStride;
    const size_t count = (steps + stride - 1) / stride * lanes;
    scratch_.q.resize(count);
    for (size_t i = 0; i < count; i += lanes)
      quantise(y.subspan(i * stride, lanes), nullptr, scratch_.q.data() + i);
    scratch_.sample_symbols.resize(symbols_.parts.size() * count);
    std::vector<std::span<uint8_t>> parts;
    for (size_t part = 0; part < symbols_.parts.size(); ++part)
      parts.push_back(std::span(scratch_.sample_symbols).subspan(part * count, count));
    return class_of_quantised(parts);
  }

  std::optional<ClassChoice> class_of_values(std::span<const float> y,
                                             const ValueThresholds* thresholds,
                                             std::span<const std::span<uint8_t>> parts) {
    scratch_.q.resize(y.size());
    quantise(y, thresholds, scratch_.q.data());
    return class_of_quantised(parts);
  }

  void quantise(std::span<const float> y, const ValueThresholds* thresholds, int32_t* q) const {
    kernels_.quantise(y.data(), y.size(), shape_.codec->step, shape_.codec->rounding, thresholds,
                      q);
  }

  std::optional<ClassChoice> class_of_quantised(std::span<const std::span<uint8_t>> parts) const {
    return choose_class(codec_.tables().classes,
                        count_symbols(scratch_.q, shape_.codec->drop_bits[0], kernels_, parts));
  }

  static bool is_empty(const ClassChoice& choice) {
    return std::all_of(choice.parts.begin(), choice.parts.end(),
                       [](const PartCost& part) { return part.empty; });
  }

  // The base's symbols of the chosen class, and what it escapes.
  void finish_base(uint32_t g) {
    const ClassChoice& choice = symbols_.choices[g];
    if (choice.parts[0].empty) return;
    const std::span<uint8_t> base = symbols_.indices(shape_, 0, g);
    const int32_t largest = codec_.tables().classes[choice.scale_class].largest();
    kernels_.base_symbols(base.size(), largest, base.data());
    if (choice.escapes == 0) return;
    const size_t count =
        kernels_.base_escapes(scratch_.q.data(), scratch_.q.size(), shape_.codec->drop_bits[0],
                              largest, scratch_.escaped.data());
    symbols_.escaped[g].assign(scratch_.escaped.data(), scratch_.escaped.data() + count);
  }

  const Codec& codec_;
  const QuantisingKernels& kernels_;
  const SectionShape& shape_;
  ValueChoice values_;
  EncodeScratch& scratch_;
  SectionSymbols& symbols_;
  ThresholdsOfClasses thresholds_;
};

SectionSymbols room_for_symbols(const SectionShape& shape, EncodeScratch& scratch) {
  const size_t parts = 1 + size_t{shape.codec->drop_bits[0]};
  const size_t part_size = size_t{shape.coded_tokens} * shape.coefficients;
  const size_t group_size = size_t{shape.coded_tokens} * kLanes;
  scratch.symbols.resize(parts * part_size);
  scratch.escaped.resize(group_size + 1);
  SectionSymbols symbols;
  symbols.escaped.resize(shape.groups);
  for (size_t part = 0; part < parts; ++part)
    symbols.parts.push_back(std::span(scratch.symbols).subspan(part * part_size, part_size));
  return symbols;
}

Checked<SectionSymbols> quantise_section(const Codec& codec, const SectionShape& shape, DType dtype,
                                         std::span<const TensorView> layers, ValueChoice values,
                                         EncodeScratch& scratch, EncodedSection& encoded) {
  const size_t tokens = shape.coded_tokens;
  SectionSymbols symbols = room_for_symbols(shape, scratch);
  CoefficientLoader loader(*codec.tables().channels, shape, dtype, layers);
  const auto rows = RowLoader::of(*codec.tables().encoding->quantising, shape, dtype, layers);
  GroupQuantiser quantiser(codec, shape, values, scratch, symbols);
  if (Check check = loader.check_sinks(); !check) return check.fault();
  for (const GroupRange& range : group_ranges(shape)) {
    const uint32_t first = range.first_group * kLanes;
    const uint32_t end = std::min(first + range.groups * kLanes, shape.coefficients);
    scratch.coefficients.resize(tokens * (end - first));
    // Where some coefficient is not finite, the loader says which.
    if (!rows || !rows->load(range, scratch.coefficients)) {
      if (Check check = loader.load(range, scratch.coefficients); !check) return check.fault();
    }
    for (uint32_t g = 0; g < range.groups; ++g) {
      const auto y = std::span<const float>(scratch.coefficients)
                         .subspan(tokens * kLanes * g, tokens * shape.lanes(range.first_group + g));
      if (Check check = quantiser.quantise(range.first_group + g, y, encoded); !check)
        return check.fault();
    }
  }
  return symbols;
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
                                       std::span<const TensorView> layers, ValueChoice values) {
  const auto shape = checked_shape(codec, group, side, tokens, layers.size());
  if (!shape) return shape.fault();
  const EncodeScratchPool::Lease scratch = codec.tables().encode_scratch.take();
  const std::vector<uint8_t>& ladder = shape->codec->drop_bits;
  EncodedSection encoded;
  encoded.squared_error.assign(ladder.size(), 0);
  const auto symbols = quantise_section(codec, *shape, dtype, layers, values, *scratch, encoded);
  if (!symbols) return symbols.fault();

  encoded.planes.push_back(write_base(codec.tables(), *shape, *symbols));
  for (size_t level = 1; level < ladder.size(); ++level) {
    ByteWriter plane;
    for (uint32_t bits = ladder[level - 1]; bits > ladder[level]; --bits) {
      write_pass(codec.tables(), *shape, *symbols, ladder[0] - bits, plane);
    }
    encoded.planes.push_back(std::move(plane).finish());
  }
  return encoded;
}

}  // namespace kvcast::kernels
