// The bytes of version 1: the worked example of plane_format.md, and the vectors of
// tests/golden/plane.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "kernels/plane.h"

namespace kvcast::kernels {
namespace {

using Bytes = std::vector<std::byte>;

// The example's chunk: tokens 0-2 of one layer with one value head of 3 dims.
struct Example {
  Profile profile;
  std::vector<std::byte> values;
  std::vector<TensorView> views() const { return {{values.data(), 6}}; }

  Example() {
    profile.geometry = {1, 1, 2, 1, 3};
    profile.groups = {{0, 1}};
    profile.levels = 2;
    profile.sink_tokens = 1;
    profile.layer_rope = {kNoRope};
    for (const uint32_t width : {2u, 3u}) {
      SectionCodec codec;
      codec.drop_bits = {1, 0};
      codec.mean.assign(width, 0);
      codec.scale.assign(width, 1);
      for (uint32_t c = 0; c < width; ++c) codec.order.push_back(c);
      profile.sections.push_back(codec);
    }
    ScaleClass scale_class;
    scale_class.base.frequency = {256, 3583, 256, 1};
    scale_class.passes = {{{{{2048, 1024, 1024}}, {{2048, 2048}}, {{4096, 0}}}}};
    scale_class.reconstruction = {{0.25f, 0.5f}, {0.25f, 0.5f}};
    profile.classes = {scale_class};
    values.resize(18);
    store_f32(DType::kBf16, std::vector<float>{9, 8, 7, 0, 3, -3, 1, 0, 20}, values.data());
  }
};

// Sections of the example as the page lists them: a line `name:` opens one, lines of hexadecimal
// bytes follow.
std::map<std::string, Bytes> example_of_the_page() {
  std::ifstream page(std::string(KVCAST_SOURCE_DIR) + "/kernels/plane_format.md");
  std::map<std::string, Bytes> sections;
  std::string line, name;
  bool in_example = false, in_block = false;
  while (std::getline(page, line)) {
    if (line.rfind("## ", 0) == 0) in_example = line.find("Worked example") != std::string::npos;
    if (line.rfind("```", 0) == 0) {
      in_block = !in_block;
    } else if (in_example && in_block && line.ends_with(':')) {
      name = line.substr(0, line.size() - 1);
    } else if (in_example && in_block) {
      std::istringstream words(line.substr(0, line.find("  ")));
      for (std::string word; words >> word;) {
        sections[name].push_back(std::byte{static_cast<uint8_t>(std::stoul(word, nullptr, 16))});
      }
    }
  }
  return sections;
}

TEST(PlaneFormat, WorkedExampleIsWhatTheWriterWrites) {
  const Example example;
  ASSERT_TRUE(validate(example.profile).ok());
  const Codec codec(example.profile);
  const TokenRange tokens{0, 3};
  const auto encoded =
      encode_section(codec, 0, Side::kValue, tokens, DType::kBf16, example.views());
  ASSERT_TRUE(encoded.ok());
  const auto page = example_of_the_page();
  EXPECT_EQ(page.at("base"), encoded->planes[0]);
  EXPECT_EQ(page.at("refinement"), encoded->planes[1]);
  EXPECT_EQ(page.at("sinks"),
            encode_sinks(example.profile, 0, Side::kValue, tokens, DType::kBf16, example.views()));
}

TEST(PlaneFormat, WorkedExampleDecodesToWhatThePageSays) {
  const Example example;
  const Codec codec(example.profile);
  const auto page = example_of_the_page();
  const std::vector<std::vector<float>> expected = {{9, 8, 7, 0, 2, -2, 0, 0, 20.5f},
                                                    {9, 8, 7, 0, 3, -3, 0.75f, 0, 20}};
  for (size_t level = 0; level < 2; ++level) {
    std::vector<std::span<const std::byte>> planes = {page.at("base")};
    if (level == 1) planes.push_back(page.at("refinement"));
    std::vector<std::byte> out(18);
    const std::vector<MutableTensorView> views = {{out.data(), 6}};
    const Check check = decode_section(codec, 0, Side::kValue, {0, 3}, DType::kBf16, planes,
                                       page.at("sinks"), views);
    ASSERT_TRUE(check.ok()) << check.fault().what;
    std::vector<float> values(9);
    load_f32(DType::kBf16, out.data(), values);
    EXPECT_EQ(values, expected[level]);
  }
}

}  // namespace
}  // namespace kvcast::kernels
