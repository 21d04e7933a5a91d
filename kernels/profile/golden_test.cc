// Version 1 of profiles: the worked example of profile_format.md and the vectors of
// tests/golden/profile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/bytes/golden.h"
#include "kernels/bytes/reader.h"
#include "kernels/bytes/writer.h"
#include "kernels/profile_format.h"

namespace kvcast::kernels {
namespace {

using Bytes = std::vector<std::byte>;

Profile example() {
  Profile profile;
  profile.geometry = {1, 1, 2, 1, 1};
  profile.levels = 2;
  profile.sink_tokens = 4;
  profile.ropes = {{Rope::Layout::kHalfSplit, 0, 1.0, {1.0}}};
  profile.layer_rope = {0};
  profile.groups = {{0, 1}};
  profile.agreement = {{0.125f, 0.75f}};
  profile.sections.resize(2);
  profile.sections[0] = {0.25f, 0.5f, {1, 0}, {1, -1}, {2, 0.5f}, {{0, 2, 1, {0x3F35, 0x3F35}}},
                         {0}};
  profile.sections[1] = {0.25f, 0.375f, {0, 0}, {0}, {1}, {}, {0}};
  ScaleClass scale_class;
  scale_class.base.frequency = {1024, 2000, 1024, 48};
  scale_class.passes = {{{{{2048, 1024, 1024}}, {{3000, 1096}}, {{2048, 2048}}}}};
  scale_class.reconstruction = {{0.375f, 0.5f}, {0.4375f, 0.5f}};
  profile.classes = {scale_class};
  return profile;
}

TEST(ProfileGolden, WorkedExample) {
  const auto tables = worked_example("kernels/profile_format.md");
  const std::vector<Section> sections = write_profile(example());
  ASSERT_EQ(tables.size(), sections.size());
  std::vector<SectionView> views;
  for (size_t i = 0; i < sections.size(); ++i) {
    EXPECT_EQ(tables[i], sections[i].bytes) << "table " << i;
    views.push_back({sections[i].id, tables[i]});
  }
  const Checked<Profile> profile = read_profile(views);
  ASSERT_TRUE(profile.ok()) << profile.fault().what;
  EXPECT_EQ(*profile, example());
}

SectionCodec numbered_codec(uint32_t width, uint32_t rank, std::vector<uint8_t> drop_bits) {
  SectionCodec codec;
  codec.step = 0.5f;
  codec.rounding = 0.25f;
  codec.drop_bits = std::move(drop_bits);
  for (uint32_t c = 0; c < width; ++c) {
    codec.mean.push_back(static_cast<float>(c) - 2);
    codec.scale.push_back(0.5f + static_cast<float>(c));
  }
  if (rank > 0) {
    TransformBlock block{0, width, rank, {}};
    for (uint32_t i = 0; i < rank * width; ++i)
      block.basis.push_back(static_cast<uint16_t>(0x3E00 + i));
    codec.blocks.push_back(block);
  }
  codec.order.resize(codec.coefficients());
  std::iota(codec.order.rbegin(), codec.order.rend(), 0u);
  return codec;
}

// Three layers in two groups, one of them without RoPE; keys and values of different widths; two
// classes; transforms with and without truncation.
Profile every_field() {
  Profile profile;
  profile.geometry = {3, 2, 4, 1, 3};
  profile.levels = 3;
  profile.sink_tokens = 1;
  profile.ropes = {{Rope::Layout::kInterleaved, 1, 1.25, {1.0}},
                   {Rope::Layout::kHalfSplit, 0, 1.0, {1.0, 0.125}}};
  profile.layer_rope = {1, kNoRope, 0};
  profile.groups = {{0, 2}, {2, 1}};
  profile.agreement = {{0.0f, 1.0f}, {0.5f, 0.25f}};
  profile.sections = {numbered_codec(16, 5, {3, 1, 0}), numbered_codec(6, 6, {2, 2, 0}),
                      numbered_codec(8, 0, {0, 0, 0}), numbered_codec(3, 1, {1, 1, 0})};
  for (const bool one_symbol : {false, true}) {
    ScaleClass scale_class;
    scale_class.base.frequency = {500, 600, 1896, 600, 499, 1};
    if (one_symbol) scale_class.base.frequency = {0, 4096, 0, 0};
    scale_class.passes.resize(3, {{{{4000, 48, 48}}, {{2048, 2048}}, {{4096, 0}}}});
    scale_class.reconstruction.resize(4, {0.25f, 0.5f});
    profile.classes.push_back(scale_class);
  }
  return profile;
}

// Each section behind u16 kind, u16 group, u32 side, u32 bytes.
Bytes framed(const std::vector<Section>& sections) {
  ByteWriter writer;
  for (const Section& section : sections) {
    writer.put(static_cast<uint16_t>(section.id.kind));
    writer.put(section.id.group);
    writer.put(static_cast<uint32_t>(section.id.side));
    writer.put(static_cast<uint32_t>(section.bytes.size()));
    writer.append(section.bytes);
  }
  return std::move(writer).finish();
}

Checked<Profile> read_framed(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  std::vector<SectionView> views;
  while (reader.remaining() > 0) {
    SectionId id;
    id.kind = static_cast<SectionKind>(reader.read<uint16_t>());
    id.group = reader.read<uint16_t>();
    id.side = static_cast<Side>(reader.read<uint32_t>());
    const uint32_t size = reader.read<uint32_t>();
    views.push_back({id, reader.take(size)});
  }
  return read_profile(views);
}

TEST(ProfileGolden, GoodProfile) {
  const Bytes bytes = golden("profile/every_field.bin", framed(write_profile(every_field())));
  ASSERT_FALSE(bytes.empty());
  EXPECT_EQ(bytes, framed(write_profile(every_field())));
  const Checked<Profile> profile = read_framed(bytes);
  ASSERT_TRUE(profile.ok()) << profile.fault().what;
  EXPECT_EQ(*profile, every_field());
}

// The worked example with one byte of one section changed.
struct Defect {
  const char* name;
  size_t section, offset;
  uint8_t byte;
  const char* message;
};

constexpr Defect kDefects[] = {
    {"no_layers", 0, 0, 0, "core: more transform groups than layers"},
    {"too_many_layers", 0, 1, 0xFF, "core: more than 1024 layers"},
    {"no_levels", 0, 20, 0, "0 levels"},
    {"nine_levels", 0, 20, 9, "9 levels"},
    {"sink_tokens", 0, 25, 1, "sink tokens"},
    {"too_many_ropes", 0, 28, 255, "254 RoPE"},
    {"no_groups", 0, 32, 0, "left over"},
    {"too_many_agreement_points", 0, 37, 2, "256 agreement points"},
    {"rope_layout", 0, 40, 3, "layout"},
    {"rope_past_key_dim", 0, 44, 1, "past the key dim"},
    {"rope_reserved", 0, 52, 1, "not zero"},
    {"layer_names_no_rope", 0, 72, 1, "not there"},
    {"groups_do_not_tile", 0, 76, 1, "tile the layers"},
    {"agreement_above_one", 0, 91, 0x40, "[0, 1]"},
    {"zero_step", 1, 3, 0x80, "keys: step"},
    {"rounding_above_half", 1, 7, 0x40, "keys: rounding"},
    {"ladder_grows", 1, 9, 2, "grow"},
    {"finest_level_drops", 1, 9, 1, "finest"},
    {"ladder_reserved", 1, 10, 1, "not zero"},
    {"width_too_large", 1, 19, 1, "2^20"},
    {"more_coefficients_than_channels", 1, 20, 3, "more coefficients"},
    {"infinite_mean", 1, 35, 0x7F, "mean"},
    {"negative_scale", 1, 43, 0xC0, "scale"},
    {"order_no_permutation", 1, 48, 1, "permutation"},
    {"block_does_not_start_at_zero", 1, 52, 1, "tile the channels"},
    {"rank_above_width", 1, 60, 3, "rank exceeds"},
    {"no_classes", 3, 0, 0, "left over"},
    {"too_many_classes", 3, 0, 65, "64 classes"},
    {"passes_differ_from_ladder", 3, 4, 2, "passes"},
    {"alphabet_of_34", 3, 8, 34, "32 symbols"},
    {"frequencies_sum_to_4097", 3, 12, 1, "sum to 4097"},
    {"pass_frequencies_sum_to_4097", 3, 20, 1, "sum to 4097"},
    {"reconstruction_of_one", 3, 51, 0x40, "[0, 1)"},
};

TEST(ProfileGolden, BadProfiles) {
  for (const Defect& defect : kDefects) {
    std::vector<Section> sections = write_profile(example());
    ASSERT_LT(defect.offset, sections[defect.section].bytes.size()) << defect.name;
    sections[defect.section].bytes[defect.offset] = static_cast<std::byte>(defect.byte);
    const Bytes bytes =
        golden(std::string("profile/bad_") + defect.name + ".bin", framed(sections));
    ASSERT_FALSE(bytes.empty()) << defect.name;
    const Checked<Profile> profile = read_framed(bytes);
    ASSERT_FALSE(profile.ok()) << defect.name;
    EXPECT_THAT(profile.fault().what, testing::HasSubstr(defect.message)) << defect.name;
  }
}

}  // namespace
}  // namespace kvcast::kernels
