#include "kernels/cuda/encode_profile.h"

#include <algorithm>
#include <array>

#include "kernels/cuda/encode_tasks.h"
#include "kernels/cuda/image_writer.h"
#include "kernels/entropy/alias_table.h"
#include "kernels/transform/analysis_basis.h"

namespace kvcast::kernels {
namespace {

// Symbols become indices from `first_index` on, their slots follow those that `slots` has.
void add_table(const AliasTable& table, uint32_t first_index, std::vector<uint16_t>& slots,
               EncodePartImage& image) {
  const auto before = static_cast<uint32_t>(slots.size());
  slots.insert(slots.end(), table.slot_of(), table.slot_of() + kSlots);
  for (uint32_t symbol = 0; symbol < table.alphabet(); ++symbol) {
    const uint32_t frequency = table.frequency(symbol), index = first_index + symbol;
    if (frequency == 0) continue;
    image.multiplier[index] = ((uint64_t{1} << 44) + frequency - 1) / frequency;
    image.frequency[index] = frequency;
    image.first[index] = before + table.first(symbol);
  }
}

EncodePartImage part_image(std::span<const AliasTable> tables, ImageWriter& writer) {
  EncodePartImage image{};
  std::vector<uint16_t> slots;
  for (uint32_t context = 0; context < tables.size(); ++context)
    add_table(tables[context], 4 * context, slots, image);
  image.slots = writer.put(slots);
  return image;
}

EncodeClassImage class_image(const ScaleClass& scale_class, ImageWriter& writer) {
  EncodeClassImage image{};
  const AliasTable base(scale_class.base.frequency);
  image.alphabet = base.alphabet();
  image.parts[0] = part_image({&base, 1}, writer);
  for (uint32_t symbol = 0; symbol < kMaxAlphabet; ++symbol)
    image.base_bits[symbol] = base.bits(symbol);
  for (size_t pass = 0; pass < scale_class.passes.size(); ++pass) {
    const auto& contexts = scale_class.passes[pass];
    const std::array<AliasTable, 3> tables = {AliasTable(contexts[0].frequency),
                                              AliasTable(contexts[1].frequency),
                                              AliasTable(contexts[2].frequency)};
    image.parts[1 + pass] = part_image(tables, writer);
    for (uint32_t context = 0; context < 3; ++context) {
      for (uint32_t symbol = 0; symbol < 3; ++symbol)
        image.pass_bits[pass][context][symbol] = tables[context].bits(symbol);
    }
  }
  return image;
}

uint64_t put_blocks(const SectionCodec& codec, ImageWriter& writer) {
  std::vector<uint32_t> positions(codec.order.size());
  for (size_t p = 0; p < positions.size(); ++p)
    positions[codec.order[p]] = static_cast<uint32_t>(p);
  std::vector<EncodeBlockImage> blocks;
  std::span<const uint32_t> left = positions;
  for (const TransformBlock& block : codec.blocks) {
    EncodeBlockImage image{};
    image.first_channel = block.first_channel;
    image.width = block.width;
    image.rank = block.rank;
    image.basis = writer.put(analysis_basis(block));
    image.positions = writer.put(left.first(block.rank));
    left = left.subspan(block.rank);
    blocks.push_back(image);
  }
  return writer.put(blocks);
}

}  // namespace

DeviceEncodeProfile::DeviceEncodeProfile(const Profile& profile) {
  auto contents = std::make_unique<Contents>(profile);
  ImageWriter writer;
  writer.put(contents->device.image());
  std::vector<EncodeClassImage> classes;
  for (const ScaleClass& scale_class : profile.classes)
    classes.push_back(class_image(scale_class, writer));
  contents->classes = writer.put(classes);
  for (const SectionCodec& codec : profile.sections)
    contents->blocks.push_back(put_blocks(codec, writer));
  contents->image = std::move(writer).finish();
  contents_ = std::move(contents);
}

DeviceEncodeProfile::~DeviceEncodeProfile() = default;

const Profile& DeviceEncodeProfile::profile() const {
  return contents_->device.profile();
}
std::span<const std::byte> DeviceEncodeProfile::image() const {
  return contents_->image;
}

}  // namespace kvcast::kernels
