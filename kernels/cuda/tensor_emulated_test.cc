// From planes into an engine's tensor by the emulated kernels, in every layout, against
// decode_section() of the scalar reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/cuda/decode_plan.h"
#include "kernels/cuda/emulated_decode.h"
#include "kernels/entropy/random_table.h"
#include "kernels/plane.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels {
namespace {

enum class Kind { kContiguous, kPaged, kPacked, kAcrossLayers };
constexpr uint32_t kBlockTokens = 16;
constexpr std::byte kUntouched{0x9B};  // what EmulatedMemory is full of

// An engine's cache for the layers of one section.
struct Cache {
  DeviceLayout layout;
  std::vector<EmulatedMemory> memory;
  std::vector<std::byte*> layers;
  std::vector<int32_t> block_table;
  uint64_t first_slot = 0, size_bytes = 0;
  uint32_t dim;
  DType dtype;

  DeviceTensor tensor() const { return {layers, size_bytes, layout, block_table, first_slot}; }

  std::byte* at(uint32_t layer, uint64_t token, uint32_t channel) const {
    const uint64_t slot = first_slot + token;
    uint64_t offset = channel / dim * layout.head_bytes + channel % dim * dtype_bytes(dtype);
    if (layout.block_tokens == 0) {
      offset += slot * layout.token_bytes;
    } else {
      offset += static_cast<uint64_t>(block_table[slot / kBlockTokens]) * layout.block_bytes +
                slot % kBlockTokens * layout.token_bytes;
    }
    return layers[layer] + offset;
  }
};

Cache make_cache(std::mt19937& random, Kind kind, const RandomSection& section) {
  const Geometry& geometry = section.profile.geometry;
  const uint32_t heads = geometry.heads(section.side), dim = geometry.dim(section.side);
  const auto layers = static_cast<uint32_t>(section.rows.size());
  const DType dtype = section.dtype;
  Cache cache;
  cache.dim = dim;
  cache.dtype = dtype;
  cache.first_slot = below(random, 40);
  const uint64_t slots = cache.first_slot + section.tokens.count;
  const uint64_t blocks = (slots + kBlockTokens - 1) / kBlockTokens + 3;
  const bool values = section.side == Side::kValue;
  uint64_t bytes = 0, first = 0, of_layer = 0;
  if (kind == Kind::kContiguous) {
    cache.layout = DeviceLayout::contiguous(heads, dim, dtype);
    bytes = slots * cache.layout.token_bytes;
  } else {
    cache.block_table.resize(blocks);
    std::iota(cache.block_table.begin(), cache.block_table.end(), 0);
    std::shuffle(cache.block_table.begin(), cache.block_table.end(), random);
    cache.layout = kind == Kind::kPacked ? DeviceLayout::packed(kBlockTokens, heads, dim, dtype)
                                         : DeviceLayout::paged(kBlockTokens, heads, dim, dtype);
    bytes = blocks * cache.layout.block_bytes;
    if (kind == Kind::kPacked && values) first = dim * dtype_bytes(dtype);
    if (kind == Kind::kPaged && values) first = bytes;
    if (kind == Kind::kPaged) bytes *= 2;
    if (kind == Kind::kAcrossLayers) {
      of_layer = cache.layout.block_bytes;
      cache.layout = cache.layout.across_layers(layers);
      bytes *= layers;
    }
  }
  for (uint32_t layer = 0; layer < layers; ++layer) {
    if (layer == 0 || of_layer == 0) cache.memory.emplace_back(bytes);
    cache.layers.push_back(cache.memory.back().data() + first + layer * of_layer);
  }
  cache.size_bytes = bytes - first - (layers - 1) * of_layer;
  return cache;
}

// Compares what is in the cache, and that nothing else is.
void expect_tokens(const Cache& cache, const RandomSection& section, const Destination& expected,
                   size_t& elements, size_t& exact) {
  const uint32_t channels = section.profile.geometry.channels(section.side);
  for (uint32_t layer = 0; layer < section.rows.size(); ++layer) {
    for (uint32_t token = 0; token < section.tokens.count; ++token) {
      const std::vector<float> row = expected.row(layer, token);
      float largest = 0;
      for (const float x : row) largest = std::max(largest, std::abs(x));
      for (uint32_t c = 0; c < channels; ++c) {
        float x;
        std::byte* const at = cache.at(layer, token, c);
        load_f32(section.dtype, at, {&x, 1});
        ASSERT_NEAR(x, row[c], last_place(section.dtype) * std::abs(row[c]) + largest * 4e-6f)
            << layer << ", " << token << ", " << c;
        if (section.dtype != DType::kF32) {
          exact += x == row[c];
          ++elements;
        }
        std::fill_n(at, dtype_bytes(section.dtype), kUntouched);
      }
    }
  }
  for (const EmulatedMemory& memory : cache.memory) {
    EXPECT_TRUE(std::all_of(memory.data(), memory.data() + memory.size(),
                            [](std::byte byte) { return byte == kUntouched; }));
  }
}

RandomSection section_of_engine_type(std::mt19937& random) {
  for (;;) {
    RandomSection section = random_section(random);
    if (!is_fp8(section.dtype)) return section;
  }
}

// Coefficients in the order of channels, as profiles of the first chunk have them.
void put_in_order(Profile& profile) {
  for (SectionCodec& codec : profile.sections) {
    if (codec.blocks.empty()) std::iota(codec.order.begin(), codec.order.end(), 0u);
  }
}

TEST(EmulatedTensor, HoldsWhatScalarWrites) {
  std::mt19937 random(181);
  size_t elements = 0, exact = 0, kinds[3] = {};
  for (int trial = 0; trial < 48; ++trial) {
    SCOPED_TRACE(trial);
    RandomSection section = section_of_engine_type(random);
    if (trial % 3 != 0) put_in_order(section.profile);
    const Codec scalar(section.profile, Implementation::kScalar);
    const auto encoded =
        encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
    ASSERT_TRUE(encoded.ok());
    const auto sinks = encode_sinks(section.profile, 0, section.side, section.tokens, section.dtype,
                                    section.views());
    Destination expected(section);
    const std::vector<std::span<const std::byte>> planes(encoded->planes.begin(),
                                                         encoded->planes.end());
    ASSERT_TRUE(decode_section(scalar, 0, section.side, section.tokens, section.dtype, planes,
                               sinks, expected.views())
                    .ok());

    const Cache cache = make_cache(random, static_cast<Kind>(trial % 4), section);
    const DeviceProfile device(section.profile);
    PlanesBlock block;
    const auto placed = block.add_all(encoded->planes);
    const SectionToDecode to_decode{0,      section.side,     section.tokens,
                                    placed, block.add(sinks), cache.tensor()};
    const auto plan =
        DecodePlan::make(device, section.dtype, {&to_decode, 1}, block.bytes().size());
    ASSERT_TRUE(plan.ok()) << plan.fault().what;
    kinds[0] += plan->contents().tasks.rows.count;
    kinds[1] += plan->contents().tasks.tiles.count;
    kinds[2] += plan->contents().tasks.elements.count;
    const EmulatedDecode decoded = decode_emulated(*plan, device, block.bytes());
    ASSERT_TRUE(plan->check_errors(decoded.errors).ok());
    expect_tokens(cache, section, expected, elements, exact);
  }
  for (const size_t count : kinds) EXPECT_GT(count, 2u);
  EXPECT_GT(static_cast<double>(exact), 0.999 * static_cast<double>(elements));
}

// What the host refuses, so that no kernel ever writes outside a tensor.
TEST(EmulatedTensor, IsRefusedWhereItCannotHoldTheTokens) {
  std::mt19937 random(182);
  const RandomSection section = [&] {
    for (;;) {
      RandomSection found = section_of_engine_type(random);
      if (found.width() > 0 && found.tokens.count > 20) return found;
    }
  }();
  const Codec scalar(section.profile, Implementation::kScalar);
  const auto encoded =
      encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
  const auto sinks = encode_sinks(section.profile, 0, section.side, section.tokens, section.dtype,
                                  section.views());
  const DeviceProfile device(section.profile);
  PlanesBlock block;
  const auto placed = block.add_all(encoded->planes);
  const DevicePlane placed_sinks = block.add(sinks);
  const auto plan_of = [&](const DeviceTensor& tensor, size_t bytes) {
    const SectionToDecode to_decode{0, section.side, section.tokens, placed, placed_sinks, tensor};
    return DecodePlan::make(device, section.dtype, {&to_decode, 1}, bytes);
  };
  const size_t bytes = block.bytes().size();
  for (const Kind kind : {Kind::kContiguous, Kind::kPaged, Kind::kPacked, Kind::kAcrossLayers}) {
    const Cache cache = make_cache(random, kind, section);
    const DeviceTensor good = cache.tensor();
    EXPECT_TRUE(plan_of(good, bytes).ok());
    EXPECT_FALSE(plan_of(good, bytes - 16).ok()) << "planes end outside their block";
    DeviceTensor bad = good;
    bad.first_slot += kind == Kind::kContiguous ? 1 : 5 * kBlockTokens;
    EXPECT_FALSE(plan_of(bad, bytes).ok()) << "too many slots";
    bad = good;
    bad.layers_dev = bad.layers_dev.subspan(1);
    EXPECT_FALSE(plan_of(bad, bytes).ok()) << "a layer is missing";
    bad = good;
    bad.layout.head_bytes += 1;
    EXPECT_FALSE(plan_of(bad, bytes).ok()) << "misaligned";
    if (kind == Kind::kContiguous) continue;
    std::vector<int32_t> table = cache.block_table;
    bad = good;
    bad.block_table = table;
    for (const int32_t block_outside : {-1, static_cast<int32_t>(table.size()), INT32_MAX}) {
      table[good.first_slot / kBlockTokens] = block_outside;
      EXPECT_FALSE(plan_of(bad, bytes).ok()) << block_outside;
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels
