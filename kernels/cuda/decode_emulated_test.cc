// The decoder's CUDA kernels, emulated, against the scalar reference: the same coefficients, the
// same verdict on damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "kernels/cuda/decode_plan.h"
#include "kernels/cuda/emulated_decode.h"
#include "kernels/entropy/random_table.h"
#include "kernels/plane.h"
#include "kernels/plane/named_inputs.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels {
namespace {

using Planes = std::vector<std::vector<std::byte>>;

std::vector<std::span<const std::byte>> spans_of(const Planes& planes, size_t count) {
  return {planes.begin(), planes.begin() + static_cast<ptrdiff_t>(count)};
}

std::vector<uint16_t> coefficients_of(const EmulatedDecode& decoded, const DecodePlan& plan,
                                      size_t section, size_t count) {
  std::vector<uint16_t> coefficients(count);
  if (count > 0) {
    std::memcpy(coefficients.data(), decoded.scratch.data() + plan.coefficients_offset(section),
                count * sizeof(uint16_t));
  }
  return coefficients;
}

// The verdict and coefficients of one section's first planes.
Checked<std::vector<uint16_t>> decode_on_emulation(const DeviceProfile& profile, uint32_t group,
                                                   Side side, TokenRange tokens,
                                                   const Planes& planes, size_t count) {
  PlanesBlock block;
  const auto placed = block.add_all(std::span(planes).first(count));
  const SectionToDecode section{group, side, tokens, placed, {}, {}};
  const auto plan = DecodePlan::make_coefficients(profile, {&section, 1}, block.bytes().size());
  if (!plan) return plan.fault();
  const EmulatedDecode decoded = decode_emulated(*plan, profile, block.bytes());
  if (Check check = plan->check_errors(decoded.errors); !check) return check.fault();
  const Profile& model = profile.profile();
  const size_t coded = tokens.count - model.sinks_in(tokens);
  return coefficients_of(decoded, *plan, 0, coded * model.section(group, side).coefficients());
}

TEST(EmulatedDecode, ReadsNamedInputsAsScalarDoes) {
  for (const NamedInput& input : named_inputs()) {
    SCOPED_TRACE(input.kind);
    const Profile profile = profile_of(input);
    const DeviceProfile device(profile);
    const Codec scalar(profile, Implementation::kScalar);
    const std::vector<float> kv = draw_values(input, 17);
    const TensorView view = view_of(input, kv);
    const TokenRange tokens{0, input.tokens};
    const auto encoded = encode_section(scalar, 0, Side::kValue, tokens, DType::kF32, {&view, 1});
    ASSERT_TRUE(encoded.ok());
    for (size_t count = 1; count <= encoded->planes.size(); ++count) {
      const auto expected =
          decode_coefficients(scalar, 0, Side::kValue, tokens, spans_of(encoded->planes, count));
      const auto decoded =
          decode_on_emulation(device, 0, Side::kValue, tokens, encoded->planes, count);
      ASSERT_TRUE(expected.ok());
      ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
      ASSERT_EQ(*decoded, *expected) << count << " planes";
    }
  }
}

TEST(EmulatedDecode, ReadsRandomSectionsAsScalarDoes) {
  std::mt19937 random(171);
  for (int trial = 0; trial < 30; ++trial) {
    const RandomSection section = random_section(random);
    const DeviceProfile device(section.profile);
    const Codec scalar(section.profile, Implementation::kScalar);
    const auto encoded =
        encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
    ASSERT_TRUE(encoded.ok());
    for (size_t count = 1; count <= encoded->planes.size(); ++count) {
      const auto expected = decode_coefficients(scalar, 0, section.side, section.tokens,
                                                spans_of(encoded->planes, count));
      const auto decoded =
          decode_on_emulation(device, 0, section.side, section.tokens, encoded->planes, count);
      ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
      ASSERT_EQ(*decoded, *expected) << trial << ", " << count << " planes";
    }
  }
}

const NamedInput& find_input(const std::vector<NamedInput>& inputs, const std::string& kind) {
  return *std::find_if(inputs.begin(), inputs.end(),
                       [&](const NamedInput& input) { return input.kind == kind; });
}

// Chunks of several lengths and both sides in one plan.
void read_many_sections(const std::string& kind, bool teams) {
  const std::vector<NamedInput> inputs = named_inputs();
  const NamedInput& input = find_input(inputs, kind);
  const Profile profile = profile_of(input);
  const DeviceProfile device(profile);
  const Codec scalar(profile, Implementation::kScalar);
  const uint32_t tokens[] = {input.tokens, input.tokens - 9, input.tokens, 64, 1};
  PlanesBlock block;
  std::vector<Planes> planes;
  std::vector<std::vector<DevicePlane>> placed;
  std::vector<SectionToDecode> sections;
  for (uint32_t i = 0; i < std::size(tokens); ++i) {
    const std::vector<float> kv = draw_values(input, 30 + i);
    const TensorView view = view_of(input, kv);
    sections.push_back(
        {0, i % 2 == 0 ? Side::kKey : Side::kValue, {i * 2000, tokens[i]}, {}, {}, {}});
    planes.push_back(
        encode_section(scalar, 0, sections[i].side, sections[i].tokens, DType::kF32, {&view, 1})
            ->planes);
  }
  for (size_t i = 0; i < planes.size(); ++i)
    placed.push_back(block.add_all(std::span(planes[i]).first(1 + i % 4)));
  for (size_t i = 0; i < planes.size(); ++i) sections[i].planes = placed[i];
  const auto plan = DecodePlan::make_coefficients(device, sections, block.bytes().size());
  ASSERT_TRUE(plan.ok()) << plan.fault().what;
  EXPECT_EQ(plan->contents().tasks.teams.count != 0, teams);
  const EmulatedDecode decoded = decode_emulated(*plan, device, block.bytes());
  ASSERT_TRUE(plan->check_errors(decoded.errors).ok());
  for (size_t i = 0; i < planes.size(); ++i) {
    const auto expected = decode_coefficients(scalar, 0, sections[i].side, sections[i].tokens,
                                              spans_of(planes[i], 1 + i % 4));
    EXPECT_EQ(coefficients_of(decoded, *plan, i, expected->size()), *expected) << i;
  }
}

TEST(EmulatedDecode, ReadsManySectionsAtOnce) {
  read_many_sections("mixed classes", false);
}
TEST(EmulatedDecode, ReadsStreamsOfOneClassInTeams) {
  read_many_sections("many streams", true);
}

TEST(EmulatedDecode, JudgesDamageAsScalarDoes) {
  std::mt19937 random(172);
  int refused = 0;
  constexpr int kTrials = 120;
  for (int trial = 0; trial < kTrials; ++trial) {
    const RandomSection section = random_section(random);
    const DeviceProfile device(section.profile);
    const Codec scalar(section.profile, Implementation::kScalar);
    const auto encoded =
        encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
    ASSERT_TRUE(encoded.ok());
    Planes damaged = encoded->planes;
    auto& plane = damaged[below(random, damaged.size())];
    if (plane.empty()) continue;
    if (below(random, 5) == 0) {
      plane.resize(below(random, plane.size()));
    } else {
      plane[below(random, plane.size())] ^= std::byte{static_cast<uint8_t>(1u << below(random, 8))};
    }
    const auto expected = decode_coefficients(scalar, 0, section.side, section.tokens,
                                              spans_of(damaged, damaged.size()));
    const auto decoded =
        decode_on_emulation(device, 0, section.side, section.tokens, damaged, damaged.size());
    refused += !expected.ok();
    ASSERT_EQ(decoded.ok(), expected.ok())
        << (expected.ok() ? decoded.fault().what : expected.fault().what);
    if (expected) {
      EXPECT_EQ(*decoded, *expected);
    }
  }
  EXPECT_GT(refused, kTrials / 2);
}

}  // namespace
}  // namespace kvcast::kernels
