#include "kernels/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "kernels/profile/random_profile.h"

namespace kvcast::kernels {
namespace {

using testing::HasSubstr;

// Has everything that a defect below needs to find.
bool has_every_field(const Profile& profile) {
  return profile.groups.size() >= 2 && profile.geometry.value_heads > 0 && profile.levels >= 3 &&
         !profile.ropes.empty() && !profile.ropes[0].inv_freq.empty() && profile.passes() > 0 &&
         !profile.sections[0].blocks.empty() && profile.section_width(0, Side::kKey) >= 2 &&
         profile.agreement.size() >= 2;
}

Profile sample() {
  std::mt19937 random(10);
  Profile profile = random_profile(random);
  while (!has_every_field(profile)) profile = random_profile(random);
  return profile;
}

TEST(Profile, RandomOnesAreValid) {
  std::mt19937 random(11);
  for (int i = 0; i < 100; ++i) {
    const Check valid = validate(random_profile(random));
    ASSERT_TRUE(valid.ok()) << valid.fault().what;
  }
}

TEST(Profile, SinksAreTheFirstTokensOfTheContext) {
  Profile profile;
  profile.sink_tokens = 4;
  EXPECT_EQ(profile.sinks_in({0, 100}), 4u);
  EXPECT_EQ(profile.sinks_in({0, 3}), 3u);
  EXPECT_EQ(profile.sinks_in({3, 100}), 1u);
  EXPECT_EQ(profile.sinks_in({4, 100}), 0u);
  EXPECT_EQ(profile.sinks_in({uint64_t{1} << 33, 100}), 0u);
}

struct Damage {
  const char* message;
  std::function<void(Profile&)> apply;
};

void expect_refused(const std::vector<Damage>& damages) {
  const Profile valid = sample();
  for (const Damage& damage : damages) {
    Profile profile = valid;
    damage.apply(profile);
    const Check check = validate(profile);
    ASSERT_FALSE(check.ok()) << damage.message;
    EXPECT_THAT(check.fault().what, HasSubstr(damage.message));
  }
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Profile, RefusesBadCore) {
  expect_refused(
      {Damage{"0 layers", [](Profile& p) { p.geometry.layers = 0; }},
       Damage{"1025 layers", [](Profile& p) { p.geometry.layers = 1025; }},
       Damage{"key channels", [](Profile& p) { p.geometry.key_heads = 0; }},
       Damage{
           "value channels",
           [](Profile& p) { p.geometry.value_heads = 1u << 31, p.geometry.value_dim = 1u << 31; }},
       Damage{"levels", [](Profile& p) { p.levels = 9; }},
       Damage{"sink tokens", [](Profile& p) { p.sink_tokens = 65; }},
       Damage{"254 RoPE", [](Profile& p) { p.ropes.resize(255, p.ropes[0]); }},
       Damage{"layout", [](Profile& p) { p.ropes[0].layout = static_cast<Rope::Layout>(3); }},
       Damage{"past the key dim", [](Profile& p) { p.ropes[0].first_dim = p.geometry.key_dim; }},
       Damage{"past the key dim", [](Profile& p) { p.ropes[0].first_dim = 0xFFFFFFFF; }},
       Damage{"scaling", [](Profile& p) { p.ropes[0].attention_scaling = 0; }},
       Damage{"inverse frequency",
              [](Profile& p) { p.ropes[0].inv_freq[0] = std::numeric_limits<double>::infinity(); }},
       Damage{"RoPE entry a layer", [](Profile& p) { p.layer_rope.pop_back(); }},
       Damage{"not there", [](Profile& p) { p.layer_rope[0] = 200; }},
       Damage{"tile the layers", [](Profile& p) { p.groups[1].first_layer = 0; }},
       Damage{"tile the layers", [](Profile& p) { p.groups[1].layers = 0xFFFFFFFF; }},
       Damage{"every layer",
              [](Profile& p) { p.groups.pop_back(), p.sections.resize(p.sections.size() - 2); }},
       Damage{"ascend", [](Profile& p) { p.agreement[1].distortion = p.agreement[0].distortion; }},
       Damage{"[0, 1]", [](Profile& p) { p.agreement[0].top1_agreement = 1.5f; }},
       Damage{"two sections", [](Profile& p) { p.sections.pop_back(); }}});
}

TEST(Profile, RefusesBadSections) {
  expect_refused(
      {Damage{"group 0 keys: step", [](Profile& p) { p.sections[0].step = 0; }},
       Damage{"group 1 values: step", [](Profile& p) { p.sections[3].step = kInfinity; }},
       Damage{"rounding", [](Profile& p) { p.sections[0].rounding = 0.6f; }},
       Damage{"rounding", [](Profile& p) { p.sections[0].rounding = kNan; }},
       Damage{"one entry a level", [](Profile& p) { p.sections[0].drop_bits.push_back(0); }},
       Damage{"grow", [](Profile& p) { p.sections[0].drop_bits[1] = 9; }},
       Damage{"finest", [](Profile& p) { p.sections[0].drop_bits.assign(p.levels, 1); }},
       Damage{"one mean and scale", [](Profile& p) { p.sections[1].mean.pop_back(); }},
       Damage{"a mean", [](Profile& p) { p.sections[0].mean[0] = kNan; }},
       Damage{"a scale", [](Profile& p) { p.sections[0].scale[0] = -1; }},
       Damage{"a scale", [](Profile& p) { p.sections[0].scale[0] = kInfinity; }},
       Damage{"tile the channels", [](Profile& p) { p.sections[0].blocks[0].first_channel = 1; }},
       Damage{"tile the channels", [](Profile& p) { p.sections[0].blocks[0].width = 0xFFFFFFFF; }},
       Damage{"rank exceeds",
              [](Profile& p) { p.sections[0].blocks[0].rank = p.sections[0].blocks[0].width + 1; }},
       Damage{"rank x width", [](Profile& p) { p.sections[0].blocks[0].basis.pop_back(); }},
       Damage{"not finite", [](Profile& p) { p.sections[0].blocks[0].basis[0] = 0x7F80; }},
       Damage{"entry a coefficient", [](Profile& p) { p.sections[0].order.pop_back(); }},
       Damage{"permutation", [](Profile& p) {
                p.sections[0].order[0] =
                    p.sections[0].order.back() + (p.sections[0].order.size() == 1);
              }}});
}

TEST(Profile, RefusesBadClasses) {
  expect_refused(
      {Damage{"1 to 64", [](Profile& p) { p.classes.clear(); }},
       Damage{"1 to 64", [](Profile& p) { p.classes.resize(65, p.classes[0]); }},
       Damage{"class 0: base alphabet 3",
              [](Profile& p) {
                p.classes[0].base.frequency = {4000, 95, 1};
              }},
       Damage{"sum to 4097", [](Profile& p) { ++p.classes[0].base.frequency[0]; }},
       Damage{"escape",
              [](Profile& p) {
                p.classes[0].base.frequency = {2048, 2047, 1, 0};
              }},
       Damage{"passes", [](Profile& p) { p.classes[0].passes.pop_back(); }},
       Damage{"2 symbols, expected 3",
              [](Profile& p) {
                p.classes[0].passes[0][0].frequency = {4095, 1};
              }},
       Damage{"reconstruction pair", [](Profile& p) { p.classes[0].reconstruction.pop_back(); }},
       Damage{"[0, 1)", [](Profile& p) { p.classes[0].reconstruction[0][1] = 1; }}});
}

TEST(Profile, OneSymbolBaseTableNeedsNoEscape) {
  Profile profile = sample();
  profile.classes[0].base.frequency = {0, 4096, 0, 0};
  EXPECT_TRUE(validate(profile).ok());
}

}  // namespace
}  // namespace kvcast::kernels
