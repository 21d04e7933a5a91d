#include "kernels/profile/random_profile.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/dtype.h"
#include "kernels/entropy/random_table.h"
#include "kernels/rope.h"

namespace kvcast::kernels {
namespace {

float uniform(std::mt19937& random, float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(random);
}

// Gram-Schmidt on random rows.
std::vector<std::vector<double>> orthonormal_rows(std::mt19937& random, uint32_t width,
                                                  uint32_t rank) {
  std::normal_distribution<double> normal;
  std::vector<std::vector<double>> rows;
  while (rows.size() < rank) {
    std::vector<double> row(width);
    for (double& x : row) x = normal(random);
    for (const std::vector<double>& other : rows) {
      const double dot = std::inner_product(row.begin(), row.end(), other.begin(), 0.0);
      for (uint32_t i = 0; i < width; ++i) row[i] -= dot * other[i];
    }
    const double norm = std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
    for (double& x : row) x /= norm;
    rows.push_back(row);
  }
  return rows;
}

std::vector<uint8_t> random_ladder(std::mt19937& random, uint32_t levels) {
  std::vector<uint8_t> drop_bits(levels, 0);
  for (uint32_t i = levels - 1; i > 0; --i) {
    const uint32_t bits = drop_bits[i] + below(random, 3);
    drop_bits[i - 1] = static_cast<uint8_t>(std::min(bits, kMaxDropBits));
  }
  return drop_bits;
}

ProbabilityTable random_table_with_every_symbol(std::mt19937& random, size_t alphabet) {
  std::vector<uint16_t> frequency = random_frequencies(random, alphabet);
  for (uint16_t& f : frequency) {
    if (f > 0) continue;
    --*std::max_element(frequency.begin(), frequency.end());
    f = 1;
  }
  return {frequency};
}

ScaleClass random_class(std::mt19937& random, uint32_t passes) {
  ScaleClass scale_class;
  scale_class.base =
      random_table_with_every_symbol(random, 2 * (1 + below(random, kMaxAlphabet / 2)));
  scale_class.passes.resize(passes);
  for (auto& contexts : scale_class.passes) {
    for (size_t i = 0; i < 3; ++i)
      contexts[i] = random_table_with_every_symbol(random, i == 0 ? 3 : 2);
  }
  for (uint32_t i = 0; i <= passes; ++i) {
    scale_class.reconstruction.push_back({uniform(random, 0, 0.99f), uniform(random, 0, 0.99f)});
  }
  return scale_class;
}

Geometry random_geometry(std::mt19937& random) {
  Geometry geometry;
  geometry.layers = 1 + below(random, 5);
  geometry.key_heads = 1 + below(random, 3);
  geometry.key_dim = 1 + below(random, 24);
  geometry.value_heads = below(random, 4);  // may be 0: a model that caches keys only
  geometry.value_dim = 1 + below(random, 24);
  return geometry;
}

Rope random_rope(std::mt19937& random, uint32_t key_dim) {
  const uint32_t pairs = below(random, key_dim / 2 + 1);
  Rope rope;
  rope.layout = below(random, 2) == 0 ? Rope::Layout::kHalfSplit : Rope::Layout::kInterleaved;
  rope.first_dim = below(random, key_dim - 2 * pairs + 1);
  rope.attention_scaling = uniform(random, 0.5f, 2.0f);
  rope.inv_freq = rope_frequencies(10000.0, 2 * pairs);
  return rope;
}

}  // namespace

TransformBlock random_block(std::mt19937& random, uint32_t first_channel, uint32_t width,
                            uint32_t rank) {
  TransformBlock block{first_channel, width, rank, {}};
  for (const std::vector<double>& row : orthonormal_rows(random, width, rank)) {
    for (const double x : row) block.basis.push_back(f32_to_bf16(static_cast<float>(x)));
  }
  return block;
}

SectionCodec random_codec(std::mt19937& random, const Geometry& geometry, uint32_t layers,
                          Side side, BlockKind kind, bool truncate,
                          const std::vector<uint8_t>& drop_bits) {
  SectionCodec codec;
  codec.step = uniform(random, 0.05f, 0.5f);
  codec.rounding = uniform(random, 0.1f, 0.5f);
  codec.drop_bits = drop_bits;
  const uint32_t width = layers * geometry.channels(side);
  for (uint32_t c = 0; c < width; ++c) {
    codec.mean.push_back(uniform(random, -3, 3));
    codec.scale.push_back(uniform(random, 0.01f, 4));
  }
  const uint32_t block_width = kind == BlockKind::kPerHead    ? geometry.dim(side)
                               : kind == BlockKind::kPerLayer ? geometry.channels(side)
                                                              : width;
  for (uint32_t first = 0; kind != BlockKind::kNone && first < width; first += block_width) {
    const uint32_t rank = truncate ? 1 + below(random, block_width) : block_width;
    codec.blocks.push_back(random_block(random, first, block_width, rank));
  }
  codec.order.resize(codec.coefficients());
  std::iota(codec.order.begin(), codec.order.end(), 0u);
  std::shuffle(codec.order.begin(), codec.order.end(), random);
  return codec;
}

Profile random_profile(std::mt19937& random) {
  Profile profile;
  profile.geometry = random_geometry(random);
  profile.levels = 1 + below(random, 5);
  profile.sink_tokens = below(random, 6);
  for (uint32_t i = below(random, 3); i > 0; --i) {
    profile.ropes.push_back(random_rope(random, profile.geometry.key_dim));
  }
  for (uint32_t layer = 0; layer < profile.geometry.layers; ++layer) {
    const uint32_t choice = below(random, profile.ropes.size() + 1);
    profile.layer_rope.push_back(choice < profile.ropes.size() ? static_cast<uint8_t>(choice)
                                                               : kNoRope);
  }
  for (uint32_t next = 0; next < profile.geometry.layers;) {
    const uint32_t layers = 1 + below(random, profile.geometry.layers - next);
    profile.groups.push_back({next, layers});
    next += layers;
    for (const Side side : {Side::kKey, Side::kValue}) {
      const auto kind = static_cast<BlockKind>(below(random, 4));
      profile.sections.push_back(random_codec(random, profile.geometry, layers, side, kind,
                                              below(random, 2) == 0,
                                              random_ladder(random, profile.levels)));
    }
  }
  for (uint32_t i = 1 + below(random, 4); i > 0; --i) {
    profile.classes.push_back(random_class(random, profile.passes()));
  }
  for (uint32_t i = below(random, 4), n = 0; n < i; ++n) {
    profile.agreement.push_back({0.1f * static_cast<float>(n), uniform(random, 0, 1)});
  }
  return profile;
}

}  // namespace kvcast::kernels
