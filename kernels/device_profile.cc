#include "kernels/device_profile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kernels/cuda/image.h"
#include "kernels/cuda/image_writer.h"
#include "kernels/entropy/alias_registers.h"
#include "kernels/entropy/alias_table.h"

namespace kvcast::kernels {
namespace {

uint32_t side_word(const AliasRegisters& registers, uint32_t index, uint32_t symbol) {
  const auto bias = static_cast<uint32_t>(static_cast<int16_t>(registers.bias[index]));
  return symbol | uint32_t{registers.frequency[index]} << 6 | bias << 19;
}

BaseAliasImage base_alias(const AliasRegisters& registers) {
  BaseAliasImage image{};
  for (uint32_t bucket = 0; bucket < 32; ++bucket)
    image.divider[bucket] = registers.divider[bucket];
  for (uint32_t index = 0; index < 64; ++index)
    image.side[index] = side_word(registers, index, registers.symbol[index]);
  return image;
}

PassImage pass_image(const std::array<ProbabilityTable, 3>& contexts) {
  const AliasRegisters registers =
      pass_registers({contexts[0].frequency, contexts[1].frequency, contexts[2].frequency});
  PassImage image{};
  for (uint32_t bucket = 0; bucket < 16; ++bucket)
    image.divider[bucket] = registers.divider[bucket];
  for (uint32_t index = 0; index < 32; ++index) {
    const uint32_t symbol = registers.symbol[index];
    image.side[index] = side_word(registers, index, symbol == 2 ? 3 : symbol);
  }
  return image;
}

ClassImage class_image(const ScaleClass& scale_class, ImageWriter& writer) {
  const AliasTable table(scale_class.base.frequency);
  std::vector<uint32_t> slots(kSlots);
  std::transform(table.slots(), table.slots() + kSlots, slots.begin(), [](Slot slot) {
    return uint32_t{slot.symbol()} << 2 | slot.frequency() << 7 | slot.rank() << 20;
  });
  ClassImage image{};
  image.slots = writer.put(slots);
  const AliasRegisters registers = alias_registers(scale_class.base.frequency);
  image.base = base_alias(registers);
  image.bucket_shift = registers.shift;
  image.alphabet = table.alphabet();
  for (size_t i = 0; i < scale_class.reconstruction.size(); ++i) {
    std::copy(scale_class.reconstruction[i].begin(), scale_class.reconstruction[i].end(),
              image.fraction[i]);
  }
  for (size_t pass = 0; pass < scale_class.passes.size(); ++pass)
    image.passes[pass] = pass_image(scale_class.passes[pass]);
  return image;
}

// As RopeAngles computes them.
std::vector<double> rope_powers(const Rope& rope) {
  const size_t pairs = rope.inv_freq.size();
  std::vector<double> powers(kRopeParts * pairs * kRopeDigits * 2);
  double* digit = powers.data();
  for (uint32_t part = 0; part < kRopeParts; ++part) {
    for (size_t pair = 0; pair < pairs; ++pair, digit += 2 * kRopeDigits) {
      digit[0] = 1;
      for (uint32_t bit = 0; bit < kRopeDigitBits; ++bit) {
        const double angle =
            static_cast<double>(1u << (part * kRopeDigitBits + bit)) * rope.inv_freq[pair];
        const double c = std::cos(angle), s = std::sin(angle);
        for (uint32_t j = 0; j < 1u << bit; ++j) {
          const double* const from = digit + 2 * j;
          double* const to = digit + 2 * ((1u << bit) + j);
          to[0] = c * from[0] - s * from[1];
          to[1] = c * from[1] + s * from[0];
        }
      }
    }
  }
  return powers;
}

RopeImage rope_image(const Rope& rope, ImageWriter& writer) {
  RopeImage image{};
  image.interleaved = rope.layout == Rope::Layout::kInterleaved;
  image.first_dim = rope.first_dim;
  image.pairs = static_cast<uint32_t>(rope.inv_freq.size());
  image.scaling = static_cast<float>(rope.attention_scaling);
  image.unscaling = static_cast<float>(1.0 / rope.attention_scaling);
  image.powers = writer.put(rope_powers(rope));
  return image;
}

// `position`: coded, of the block's components.
BlockImage block_image(const TransformBlock& block, std::span<const uint32_t> position,
                       ImageWriter& writer) {
  std::vector<uint32_t> rows(block.rank);
  std::iota(rows.begin(), rows.end(), 0u);
  std::sort(rows.begin(), rows.end(),
            [&](uint32_t a, uint32_t b) { return position[a] < position[b]; });
  BlockImage image{};
  image.first_channel = block.first_channel;
  image.width = block.width;
  image.rank = block.rank;
  image.padded_rank = (block.rank + kRankPadding - 1) / kRankPadding * kRankPadding;
  std::vector<uint32_t> positions;
  for (const uint32_t row : rows) positions.push_back(position[row]);
  const bool run = !rows.empty() && positions.back() - positions.front() + 1 == block.rank;
  image.first_position = run ? positions.front() : kNowhere;
  std::vector<uint16_t> basis(size_t{block.width} * image.padded_rank);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < block.width; ++c)
      basis[c * image.padded_rank + r] = block.basis[size_t{rows[r]} * block.width + c];
  }
  image.positions = writer.put(positions);
  image.basis = writer.put(basis);
  return image;
}

void add_blocks(const SectionCodec& codec, std::span<const uint32_t> position, ImageWriter& writer,
                SectionImage& image) {
  std::vector<BlockImage> blocks;
  std::vector<uint32_t> block_of_channel;
  for (const TransformBlock& block : codec.blocks) {
    block_of_channel.resize(block_of_channel.size() + block.width,
                            static_cast<uint32_t>(blocks.size()));
    blocks.push_back(block_image(block, position.first(block.rank), writer));
    position = position.subspan(block.rank);
  }
  image.blocks = static_cast<uint32_t>(blocks.size());
  image.block_images = writer.put(blocks);
  image.block_of_channel = writer.put(block_of_channel);
}

SectionImage section_image(const Profile& profile, uint32_t group, Side side, ImageWriter& writer) {
  const SectionCodec& codec = profile.section(group, side);
  std::vector<uint32_t> position(codec.order.size());
  for (size_t p = 0; p < position.size(); ++p) position[codec.order[p]] = static_cast<uint32_t>(p);
  SectionImage image{};
  image.step = codec.step;
  image.rounding = codec.rounding;
  image.width = static_cast<uint32_t>(codec.mean.size());
  image.coefficients = codec.coefficients();
  image.channels = profile.geometry.channels(side);
  image.heads = profile.geometry.heads(side);
  image.dim = profile.geometry.dim(side);
  image.layers = profile.groups[group].layers;
  image.mean = writer.put(codec.mean);
  image.scale = writer.put(codec.scale);
  if (codec.blocks.empty()) {
    image.in_order = std::is_sorted(position.begin(), position.end());
    image.position = writer.put(position);
  } else {
    add_blocks(codec, position, writer, image);
  }
  std::vector<uint32_t> ropes;
  for (uint32_t layer = 0; layer < image.layers; ++layer) {
    const uint8_t rope = profile.layer_rope[profile.groups[group].first_layer + layer];
    ropes.push_back(side == Side::kKey && rope != kNoRope ? rope : kNowhere);
  }
  image.ropes = writer.put(ropes);
  return image;
}

}  // namespace

DeviceProfile::DeviceProfile(const Profile& profile) : profile_(&profile) {
  ImageWriter writer;
  const uint64_t head = writer.reserve(sizeof(ProfileImage));
  std::vector<ClassImage> classes;
  for (const ScaleClass& scale_class : profile.classes)
    classes.push_back(class_image(scale_class, writer));
  std::vector<RopeImage> ropes;
  for (const Rope& rope : profile.ropes) ropes.push_back(rope_image(rope, writer));
  const ProfileImage image{writer.put(classes), writer.put(ropes)};
  writer.set(head, std::span(&image, 1));
  for (uint32_t group = 0; group < profile.groups.size(); ++group) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      const SectionImage section = section_image(profile, group, side, writer);
      sections_.push_back(writer.put(std::span(&section, 1)));
    }
  }
  image_ = std::move(writer).finish();
}

}  // namespace kvcast::kernels
