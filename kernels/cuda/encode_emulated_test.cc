// The encoder's CUDA kernels, emulated, against encode_section(): the same bytes, the same errors.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "kernels/cuda/emulated_decode.h"
#include "kernels/cuda/emulated_encode.h"
#include "kernels/entropy/random_table.h"
#include "kernels/plane.h"
#include "kernels/plane/named_inputs.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels {
namespace {

void expect_equal(const EmulatedSection& encoded, const EncodedSection& expected) {
  ASSERT_EQ(encoded.planes.size(), expected.planes.size());
  for (size_t plane = 0; plane < expected.planes.size(); ++plane)
    EXPECT_TRUE(encoded.planes[plane] == expected.planes[plane]) << "plane " << plane;
  EXPECT_EQ(encoded.squared_error, expected.squared_error);
  EXPECT_EQ(encoded.energy, expected.energy);
}

TEST(EmulatedEncode, WritesNamedInputsAsScalarDoes) {
  for (const NamedInput& input : named_inputs()) {
    SCOPED_TRACE(input.kind);
    const Profile profile = profile_of(input);
    const Codec scalar(profile, Implementation::kScalar);
    const std::vector<float> kv = draw_values(input, 19);
    const TensorView view = view_of(input, kv);
    const TokenRange tokens{0, input.tokens};
    const auto expected = encode_section(scalar, 0, Side::kValue, tokens, DType::kF32, {&view, 1});
    ASSERT_TRUE(expected.ok());
    EmulatedMemory tensor(std::as_bytes(std::span(kv)));
    std::byte* const layer = tensor.data();
    const DeviceLayout layout = DeviceLayout::contiguous(1, input.channels, DType::kF32);
    const SectionToEncode section{
        0, Side::kValue, tokens, {{&layer, 1}, tensor.size(), layout, {}, 0}};
    const DeviceEncodeProfile device(profile);
    const auto encoded = encode_emulated(device, DType::kF32, {&section, 1});
    ASSERT_TRUE(encoded.ok()) << encoded.fault().what;
    expect_equal(encoded->front(), *expected);
  }
}

// A section's rows in blocks of 16 tokens, in an order that is not theirs.
struct PagedSource {
  static constexpr uint32_t kBlockTokens = 16;
  std::vector<EmulatedMemory> memory;
  std::vector<std::byte*> layers;
  std::vector<int32_t> block_table;
  DeviceLayout layout;

  explicit PagedSource(const RandomSection& section) {
    const Geometry& geometry = section.profile.geometry;
    layout = DeviceLayout::packed(kBlockTokens, geometry.heads(section.side),
                                  geometry.dim(section.side), section.dtype);
    const auto blocks =
        static_cast<int32_t>((section.tokens.count + kBlockTokens - 1) / kBlockTokens);
    for (int32_t block = 0; block < blocks; ++block) block_table.push_back(blocks - 1 - block);
    const uint32_t channels = geometry.channels(section.side), dim = geometry.dim(section.side);
    const size_t element = dtype_bytes(section.dtype);
    for (size_t layer = 0; layer < section.rows.size(); ++layer) {
      memory.emplace_back(static_cast<size_t>(blocks) * layout.block_bytes);
      layers.push_back(memory.back().data());
      for (uint32_t token = 0; token < section.tokens.count; ++token) {
        const std::byte* const row =
            section.rows[layer].data() + token * section.token_stride_bytes;
        std::byte* const to =
            layers.back() +
            static_cast<size_t>(block_table[token / kBlockTokens]) * layout.block_bytes +
            token % kBlockTokens * layout.token_bytes;
        for (uint32_t c = 0; c < channels; ++c)
          std::memcpy(to + c / dim * layout.head_bytes + c % dim * element, row + c * element,
                      element);
      }
    }
  }
  DeviceTensor tensor() const {
    return {layers, memory.empty() ? 0 : memory.front().size(), layout, block_table, 0};
  }
};

RandomSection section_of_engine_type(std::mt19937& random) {
  for (;;) {
    RandomSection section = random_section(random);
    if (!is_fp8(section.dtype)) return section;
  }
}

TEST(EmulatedEncode, WritesRandomSectionsAsScalarDoes) {
  std::mt19937 random(191);
  for (int trial = 0; trial < 30; ++trial) {
    SCOPED_TRACE(trial);
    const RandomSection section = section_of_engine_type(random);
    const Codec scalar(section.profile, Implementation::kScalar);
    const auto expected =
        encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
    ASSERT_TRUE(expected.ok());
    const PagedSource source(section);
    const SectionToEncode to_encode{0, section.side, section.tokens, source.tensor()};
    const DeviceEncodeProfile device(section.profile);
    const auto encoded = encode_emulated(device, section.dtype, {&to_encode, 1});
    ASSERT_TRUE(encoded.ok()) << encoded.fault().what;
    expect_equal(encoded->front(), *expected);
    EXPECT_EQ(encoded->front().sinks, encode_sinks(section.profile, 0, section.side, section.tokens,
                                                   section.dtype, section.views()));
  }
}

// Several chunks at once, and one among them that cannot be coded.
TEST(EmulatedEncode, NamesTheSectionThatCannotBeCoded) {
  const std::vector<NamedInput> inputs = named_inputs();
  const NamedInput& input = inputs[1];
  const Profile profile = profile_of(input);
  const DeviceEncodeProfile device(profile);
  const Codec scalar(profile, Implementation::kScalar);
  const DeviceLayout layout = DeviceLayout::contiguous(1, input.channels, DType::kF32);
  std::vector<std::vector<float>> kv;
  std::vector<EmulatedMemory> tensors;
  std::vector<std::byte*> layers;
  for (uint32_t i = 0; i < 3; ++i) {
    kv.push_back(draw_values(input, 50 + i));
    tensors.emplace_back(std::as_bytes(std::span(kv.back())));
  }
  for (EmulatedMemory& tensor : tensors) layers.push_back(tensor.data());
  std::vector<SectionToEncode> sections;
  for (uint32_t i = 0; i < 3; ++i) {
    sections.push_back({0,
                        i == 1 ? Side::kKey : Side::kValue,
                        {i * input.tokens, input.tokens},
                        {{&layers[i], 1}, tensors[i].size(), layout, {}, 0}});
  }
  const auto encoded = encode_emulated(device, DType::kF32, sections);
  ASSERT_TRUE(encoded.ok()) << encoded.fault().what;
  for (uint32_t i = 0; i < 3; ++i) {
    const TensorView view = view_of(input, kv[i]);
    expect_equal((*encoded)[i], *encode_section(scalar, 0, sections[i].side, sections[i].tokens,
                                                DType::kF32, {&view, 1}));
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(tensors[2].data() + 400, &nan, sizeof(nan));
  const auto refused = encode_emulated(device, DType::kF32, sections);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.fault().what.rfind("section 2: an element is NaN", 0), 0u)
      << refused.fault().what;
}

}  // namespace
}  // namespace kvcast::kernels
