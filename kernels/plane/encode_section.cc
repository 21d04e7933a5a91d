#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/plane.h"
#include "kernels/plane/channels.h"
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

// The symbols of channel group `g`, whose finest values are in `scratch`.
void write_symbols(const Codec& codec, const SectionShape& shape, uint32_t g,
                   EncodeScratch& scratch, SectionSymbols& symbols) {
  const QuantisingKernels& kernels = *codec.tables().encoding->quantising;
  const ClassChoice& choice = symbols.choices[g];
  const uint32_t dropped_bits = shape.codec->drop_bits[0];
  const std::span<const int32_t> q = scratch.q;
  if (!choice.parts[0].empty) {
    const int32_t largest = codec.tables().classes[choice.scale_class].largest();
    kernels.base_symbols(q.data(), q.size(), dropped_bits, largest,
                         symbols.indices(shape, 0, g).data());
    if (choice.escapes > 0) {
      const size_t count =
          kernels.base_escapes(q.data(), q.size(), dropped_bits, largest, scratch.escaped.data());
      symbols.escaped[g].assign(scratch.escaped.data(), scratch.escaped.data() + count);
    }
  }
  for (uint32_t pass = 0; pass < dropped_bits; ++pass) {
    if (!choice.parts[1 + pass].empty) {
      kernels.pass_symbols(q.data(), q.size(), dropped_bits - pass,
                           symbols.indices(shape, 1 + pass, g).data());
    }
  }
}

std::optional<ClassChoice> class_of_values(const Codec& codec, const SectionShape& shape,
                                           EncodeScratch& scratch) {
  const QuantisingKernels& kernels = *codec.tables().encoding->quantising;
  return choose_class(codec.tables().classes,
                      count_symbols(scratch.q, shape.codec->drop_bits[0], kernels, scratch.counts,
                                    scratch.far.data()));
}

bool is_empty(const ClassChoice& choice) {
  return std::all_of(choice.parts.begin(), choice.parts.end(),
                     [](const PartCost& part) { return part.empty; });
}

// The finest values of a channel group, left in `scratch`, and their class.
std::optional<ClassChoice> choose_values(const Codec& codec, const SectionShape& shape,
                                         std::span<const float> y, ValueChoice values,
                                         EncodeScratch& scratch) {
  const QuantisingKernels& kernels = *codec.tables().encoding->quantising;
  const auto [step, rounding] = std::pair(shape.codec->step, shape.codec->rounding);
  scratch.q.resize(y.size());
  kernels.quantise(y.data(), y.size(), step, rounding, scratch.q.data());
  auto nearest = class_of_values(codec, shape, scratch);
  // Zeros that cost nothing stay: any class would do for them.
  if (!nearest || values == ValueChoice::kNearest || is_empty(*nearest)) return nearest;
  const ValueThresholds thresholds =
      value_thresholds(codec.tables().classes[nearest->scale_class],
                       codec.profile().classes[nearest->scale_class], *shape.codec);
  kernels.move_values(y.data(), y.size(), step, rounding, thresholds, scratch.q.data());
  return class_of_values(codec, shape, scratch);
}

// Quantises channel group `g`, chooses its class, and measures what that costs at every level.
Check quantise_group(const Codec& codec, const SectionShape& shape, uint32_t g,
                     std::span<const float> y, ValueChoice values, EncodeScratch& scratch,
                     SectionSymbols& symbols, EncodedSection& encoded) {
  auto choice = choose_values(codec, shape, y, values, scratch);
  if (!choice) {
    return Fault{"no class of the profile has the symbols that channel group " + std::to_string(g) +
                 " needs"};
  }
  measure(codec, *shape.codec, *choice, y, scratch.q, encoded);
  symbols.choices.push_back(std::move(*choice));
  write_symbols(codec, shape, g, scratch, symbols);
  return {};
}

SectionSymbols room_for_symbols(const SectionShape& shape, EncodeScratch& scratch) {
  const size_t parts = 1 + size_t{shape.codec->drop_bits[0]};
  const size_t part_size = size_t{shape.coded_tokens} * shape.coefficients;
  const size_t group_size = size_t{shape.coded_tokens} * kLanes;
  scratch.symbols.resize(parts * part_size);
  scratch.far.resize(group_size);
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
  for (const GroupRange& range : group_ranges(shape)) {
    const uint32_t first = range.first_group * kLanes;
    const uint32_t end = std::min(first + range.groups * kLanes, shape.coefficients);
    scratch.coefficients.resize(tokens * (end - first));
    if (Check check = loader.load(range, scratch.coefficients); !check) return check.fault();
    for (uint32_t g = 0; g < range.groups; ++g) {
      const auto y = std::span<const float>(scratch.coefficients)
                         .subspan(tokens * kLanes * g, tokens * shape.lanes(range.first_group + g));
      if (Check check = quantise_group(codec, shape, range.first_group + g, y, values, scratch,
                                       symbols, encoded);
          !check) {
        return check.fault();
      }
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
