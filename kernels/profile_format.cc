#include "kernels/profile_format.h"

#include <string>
#include <utility>

#include "kernels/bytes/reader.h"
#include "kernels/bytes/writer.h"

namespace kvcast::kernels {
namespace {

constexpr size_t kLadderBytes = 8;
static_assert(kMaxLevels <= kLadderBytes);

SectionId section_id(size_t index, size_t groups) {
  if (index == 0) return {SectionKind::kProfileCore, 0, Side::kKey};
  if (index > 2 * groups) return {SectionKind::kProfileClasses, 0, Side::kKey};
  const size_t section = index - 1;
  return {SectionKind::kProfileSection, static_cast<uint16_t>(section / 2),
          section % 2 == 0 ? Side::kKey : Side::kValue};
}

void write_rope(const Rope& rope, ByteWriter& writer) {
  writer.put(static_cast<uint8_t>(rope.layout));
  writer.put_zeros(3);
  writer.put(rope.first_dim);
  writer.put(static_cast<uint32_t>(rope.inv_freq.size()));
  writer.put_zeros(4);
  writer.put(rope.attention_scaling);
  writer.put_array(rope.inv_freq);
}

std::vector<std::byte> write_core(const Profile& profile) {
  ByteWriter writer;
  const Geometry& geometry = profile.geometry;
  for (const uint32_t value :
       {geometry.layers, geometry.key_heads, geometry.key_dim, geometry.value_heads,
        geometry.value_dim, profile.levels, profile.sink_tokens,
        static_cast<uint32_t>(profile.ropes.size()), static_cast<uint32_t>(profile.groups.size()),
        static_cast<uint32_t>(profile.agreement.size())}) {
    writer.put(value);
  }
  for (const Rope& rope : profile.ropes) write_rope(rope, writer);
  writer.put_array(profile.layer_rope);
  writer.pad(4);
  for (const LayerGroup& group : profile.groups) {
    writer.put(group.first_layer);
    writer.put(group.layers);
  }
  for (const AgreementPoint& point : profile.agreement) {
    writer.put(point.distortion);
    writer.put(point.top1_agreement);
  }
  return std::move(writer).finish();
}

std::vector<std::byte> write_section(const SectionCodec& codec) {
  ByteWriter writer;
  writer.put(codec.step);
  writer.put(codec.rounding);
  writer.put_array(codec.drop_bits);
  writer.put_zeros(kLadderBytes - codec.drop_bits.size());
  writer.put(static_cast<uint32_t>(codec.mean.size()));
  writer.put(static_cast<uint32_t>(codec.order.size()));
  writer.put(static_cast<uint32_t>(codec.blocks.size()));
  writer.put_zeros(4);
  writer.put_array(codec.mean);
  writer.put_array(codec.scale);
  writer.put_array(codec.order);
  for (const TransformBlock& block : codec.blocks) {
    writer.put(block.first_channel);
    writer.put(block.width);
    writer.put(block.rank);
    writer.put_zeros(4);
    writer.put_array(block.basis);
    writer.pad(4);
  }
  return std::move(writer).finish();
}

std::vector<std::byte> write_classes(const Profile& profile) {
  ByteWriter writer;
  writer.put(static_cast<uint32_t>(profile.classes.size()));
  writer.put(profile.passes());
  for (const ScaleClass& scale_class : profile.classes) {
    writer.put(static_cast<uint32_t>(scale_class.base.frequency.size()));
    writer.put_array(scale_class.base.frequency);
    writer.pad(4);
    for (const auto& contexts : scale_class.passes) {
      for (const ProbabilityTable& table : contexts) writer.put_array(table.frequency);
      writer.put_zeros(2);
    }
    for (const auto& [magnitude_one, larger] : scale_class.reconstruction) {
      writer.put(magnitude_one);
      writer.put(larger);
    }
  }
  return std::move(writer).finish();
}

Rope read_rope(ByteReader& reader) {
  Rope rope;
  rope.layout = static_cast<Rope::Layout>(reader.read<uint8_t>());
  reader.expect_zeros(3);
  rope.first_dim = reader.read<uint32_t>();
  const uint32_t frequencies = reader.read<uint32_t>();
  reader.require(frequencies <= kMaxChannels, "more than 65,536 rotary frequencies");
  reader.expect_zeros(4);
  rope.attention_scaling = reader.read<double>();
  rope.inv_freq = reader.read_array<double>(frequencies);
  return rope;
}

// Geometry, RoPE and groups; their values are checked by validate().
Check read_core(std::span<const std::byte> bytes, Profile& profile) {
  ByteReader reader(bytes);
  for (uint32_t* field : {&profile.geometry.layers, &profile.geometry.key_heads,
                          &profile.geometry.key_dim, &profile.geometry.value_heads,
                          &profile.geometry.value_dim, &profile.levels, &profile.sink_tokens}) {
    *field = reader.read<uint32_t>();
  }
  const uint32_t ropes = reader.read<uint32_t>();
  const uint32_t groups = reader.read<uint32_t>();
  const uint32_t agreement = reader.read<uint32_t>();
  reader.require(profile.geometry.layers <= kMaxLayers, "more than 1024 layers");
  reader.require(ropes < kNoRope, "more than 254 RoPE tables");
  reader.require(groups <= profile.geometry.layers, "more transform groups than layers");
  reader.require(agreement <= kMaxAgreementPoints, "more than 256 agreement points");
  for (uint32_t i = 0; i < ropes && reader.ok(); ++i) profile.ropes.push_back(read_rope(reader));
  profile.layer_rope = reader.read_array<uint8_t>(profile.geometry.layers);
  reader.expect_padding(4);
  for (uint32_t i = 0; i < groups && reader.ok(); ++i) {
    const uint32_t first = reader.read<uint32_t>();
    profile.groups.push_back({first, reader.read<uint32_t>()});
  }
  for (uint32_t i = 0; i < agreement && reader.ok(); ++i) {
    const float distortion = reader.read<float>();
    profile.agreement.push_back({distortion, reader.read<float>()});
  }
  return reader.finish();
}

TransformBlock read_block(ByteReader& reader, uint32_t width) {
  TransformBlock block;
  block.first_channel = reader.read<uint32_t>();
  block.width = reader.read<uint32_t>();
  block.rank = reader.read<uint32_t>();
  reader.require(block.width <= width, "a transform block is wider than its section");
  reader.require(block.rank <= block.width, "a transform block's rank exceeds its width");
  reader.expect_zeros(4);
  block.basis = reader.read_array<uint16_t>(uint64_t{block.rank} * block.width);
  reader.expect_padding(4);
  return block;
}

Check read_section(std::span<const std::byte> bytes, uint32_t levels, SectionCodec& codec) {
  ByteReader reader(bytes);
  codec.step = reader.read<float>();
  codec.rounding = reader.read<float>();
  codec.drop_bits = reader.read_array<uint8_t>(levels);
  reader.expect_zeros(kLadderBytes - levels);
  const uint32_t width = reader.read<uint32_t>();
  const uint32_t coefficients = reader.read<uint32_t>();
  const uint32_t blocks = reader.read<uint32_t>();
  reader.require(width <= kMaxSectionWidth, "wider than 2^20 channels");
  reader.require(coefficients <= width, "more coefficients than channels");
  reader.require(blocks <= width, "more transform blocks than channels");
  reader.expect_zeros(4);
  codec.mean = reader.read_array<float>(width);
  codec.scale = reader.read_array<float>(width);
  codec.order = reader.read_array<uint32_t>(coefficients);
  for (uint32_t i = 0; i < blocks && reader.ok(); ++i) {
    codec.blocks.push_back(read_block(reader, width));
  }
  return reader.finish();
}

ScaleClass read_class(ByteReader& reader, uint32_t passes) {
  ScaleClass scale_class;
  const uint32_t alphabet = reader.read<uint32_t>();
  reader.require(alphabet <= kMaxAlphabet, "a base alphabet of more than 32 symbols");
  scale_class.base.frequency = reader.read_array<uint16_t>(alphabet);
  reader.expect_padding(4);
  scale_class.passes.resize(passes);
  for (auto& contexts : scale_class.passes) {
    for (size_t context = 0; context < contexts.size(); ++context) {
      contexts[context].frequency = reader.read_array<uint16_t>(context == 0 ? 3 : 2);
    }
    reader.expect_zeros(2);
  }
  scale_class.reconstruction.resize(passes + size_t{1});
  for (auto& [magnitude_one, larger] : scale_class.reconstruction) {
    magnitude_one = reader.read<float>();
    larger = reader.read<float>();
  }
  return scale_class;
}

Check read_classes(std::span<const std::byte> bytes, Profile& profile) {
  ByteReader reader(bytes);
  const uint32_t classes = reader.read<uint32_t>();
  const uint32_t passes = reader.read<uint32_t>();
  reader.require(classes <= kMaxClasses, "more than 64 classes");
  reader.require(passes == profile.passes(), "passes differ from what the ladders need");
  for (uint32_t i = 0; i < classes && reader.ok(); ++i) {
    profile.classes.push_back(read_class(reader, passes));
  }
  return reader.finish();
}

std::string section_name(const SectionId& id) {
  if (id.kind == SectionKind::kProfileCore) return "profile core: ";
  if (id.kind == SectionKind::kProfileClasses) return "profile classes: ";
  return "profile group " + std::to_string(id.group) +
         (id.side == Side::kKey ? " keys: " : " values: ");
}

}  // namespace

std::vector<Section> write_profile(const Profile& profile) {
  const size_t groups = profile.groups.size();
  std::vector<Section> sections;
  sections.push_back({section_id(0, groups), write_core(profile)});
  for (const SectionCodec& codec : profile.sections) {
    sections.push_back({section_id(sections.size(), groups), write_section(codec)});
  }
  sections.push_back({section_id(sections.size(), groups), write_classes(profile)});
  return sections;
}

Checked<Profile> read_profile(std::span<const SectionView> sections) {
  if (sections.size() < 2 || sections.size() > 2 + 2 * size_t{kMaxLayers}) {
    return Fault{"profile of " + std::to_string(sections.size()) + " sections, expected 4 to 2050"};
  }
  Profile profile;
  const auto named = [&](size_t index, const Fault& fault) {
    return Fault{section_name(sections[index].id) + fault.what, fault.offset};
  };
  if (const Check core = read_core(sections[0].bytes, profile); !core)
    return named(0, core.fault());
  if (profile.levels < 1 || profile.levels > kMaxLevels) {
    return Fault{"profile core: " + std::to_string(profile.levels) + " levels, expected 1 to 8"};
  }
  const size_t groups = profile.groups.size();
  if (sections.size() != 2 + 2 * groups) {
    return Fault{"profile of " + std::to_string(groups) + " transform groups has " +
                 std::to_string(sections.size()) + " sections"};
  }
  for (size_t i = 0; i < sections.size(); ++i) {
    if (sections[i].id != section_id(i, groups)) {
      return Fault{"section " + std::to_string(i) + " of the profile is not " +
                   section_name(section_id(i, groups))};
    }
  }
  profile.sections.resize(2 * groups);
  for (size_t i = 0; i < 2 * groups; ++i) {
    const Check section = read_section(sections[i + 1].bytes, profile.levels, profile.sections[i]);
    if (!section) return named(i + 1, section.fault());
  }
  // A ladder beyond its limit would size the classes' tables: check it first.
  if (profile.passes() > kMaxDropBits) return Fault{"profile: a ladder drops more than 8 bits"};
  const size_t last = sections.size() - 1;
  const Check classes = read_classes(sections[last].bytes, profile);
  if (!classes) return named(last, classes.fault());
  if (const Check valid = validate(profile); !valid) return valid.fault();
  return profile;
}

}  // namespace kvcast::kernels
