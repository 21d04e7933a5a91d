// A profile: everything about a model's KV cache that the planes of all its contexts share. Written
// once by the packager (or by calibration), fetched once by the player. Bytes:
// kernels/profile_format.md.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"

namespace kvcast::kernels {

inline constexpr uint32_t kLanes = 32;           // channels of a channel group; lanes of a stream
inline constexpr uint32_t kMaxLayers = 1024;     // largest public models have 126
inline constexpr uint32_t kMaxChannels = 65536;  // per layer and side: 128 heads of 512
inline constexpr uint32_t kMaxSectionWidth = 1 << 20;  // channels of one transform group and side
inline constexpr uint32_t kMaxLevels = 8;              // default 4
inline constexpr uint32_t kMaxDropBits = 8;            // low bits of |q| the base may drop
inline constexpr uint32_t kMaxClasses = 64;
inline constexpr uint32_t kMaxAlphabet = 32;  // symbols of one probability table
inline constexpr uint32_t kMaxSinkTokens = 64;
inline constexpr uint32_t kMaxAgreementPoints = 256;
inline constexpr uint32_t kProbabilityScale = 4096;  // frequencies of a table sum to this

// Rotary position embedding of a layer, undone before the transform and redone after it.
// Pairs (x, y) at position p become (x cos a - y sin a, x sin a + y cos a), a = p * inv_freq[i];
// both scaled by attention_scaling. Any scaling rule (linear, NTK, YaRN, Llama 3) is a choice of
// inv_freq and attention_scaling.
struct Rope {
  enum class Layout : uint8_t {
    kHalfSplit = 1,
    kInterleaved = 2
  };  // pairs (i, i + n/2), or (2i, 2i + 1)
  Layout layout = Layout::kHalfSplit;
  uint32_t first_dim = 0;  // rotary dims of a head are [first_dim, first_dim + 2 * inv_freq.size())
  double attention_scaling = 1.0;
  std::vector<double> inv_freq;
  bool operator==(const Rope&) const = default;
};
inline constexpr uint8_t kNoRope = 0xFF;

// A dense block of a transform: normalised channels [first_channel, +width) = basis^T * components.
// Orthonormal rows, unless calibration fitted them to error weights.
struct TransformBlock {
  uint32_t first_channel = 0;  // in the section's concatenation of layers, heads, dims
  uint32_t width = 0;
  uint32_t rank = 0;            // <= width: trailing components that never carry bits are left out
  std::vector<uint16_t> basis;  // bf16, [rank][width]
  bool operator==(const TransformBlock&) const = default;
};

// How one transform group's keys or values become coefficients. Width = layers of the group *
// channels of the side.
struct SectionCodec {
  float step = 1.0f;                   // quantiser step of the finest level, in normalised units
  float rounding = 0.5f;               // r of q = sign(y) floor(|y| / step + r), 0 < r <= 0.5
  std::vector<uint8_t> drop_bits;      // per level, non-increasing; the last is 0
  std::vector<float> mean;             // [width]
  std::vector<float> scale;            // [width], > 0: normalised = (x - mean) / scale
  std::vector<TransformBlock> blocks;  // empty: identity. Otherwise they tile [0, width) in order
  std::vector<uint32_t> order;         // [coefficients]: coded position -> component, a permutation
  uint32_t coefficients() const;       // width, or the sum of the blocks' ranks
  bool operator==(const SectionCodec&) const = default;
};

// Frequencies of 12-bit probabilities: they sum to 4096; a table with one symbol holds a single
// 4096.
struct ProbabilityTable {
  std::vector<uint16_t> frequency;  // [alphabet], alphabet <= kMaxAlphabet
  bool operator==(const ProbabilityTable&) const = default;
};

// Statistics of coefficients of one scale; each channel group of each chunk names the class that
// codes it cheapest.
struct ScaleClass {
  // Alphabet 2m + 2: symbols 0..2m are values -m..m of the coarse coefficient, 2m + 1 escapes
  // (frequency >= 1).
  ProbabilityTable base;
  // [pass][context]: one pass refines by one bit. Context 0 (magnitude 0 so far): 0, +1, -1;
  // contexts 1 (magnitude 1) and 2 (larger): the next bit. Passes count from the base, over all
  // planes.
  std::vector<std::array<ProbabilityTable, 3>> passes;
  // [passes + 1][2]: where in its cell a magnitude is reconstructed, as a fraction in [0, 1), after
  // that many passes; index 0 for magnitude 1, index 1 for larger.
  std::vector<std::array<float, 2>> reconstruction;
  bool operator==(const ScaleClass&) const = default;
};

// Layers [first_layer, first_layer + layers) become ready together.
struct LayerGroup {
  uint32_t first_layer = 0;
  uint32_t layers = 0;
  bool operator==(const LayerGroup&) const = default;
};

// A measured point of the map from relative distortion to expected top-1 agreement. Linear between
// points.
struct AgreementPoint {
  float distortion = 0;
  float top1_agreement = 1;
  bool operator==(const AgreementPoint&) const = default;
};

struct Profile {
  Geometry geometry;
  uint32_t levels = 4;
  uint32_t sink_tokens = 4;  // first tokens of a context, stored exactly in chunk 0's base
  std::vector<Rope> ropes;
  std::vector<uint8_t> layer_rope;     // [layers]: index into ropes, or kNoRope
  std::vector<LayerGroup> groups;      // tile the layers in order
  std::vector<SectionCodec> sections;  // [2 * group + side]
  std::vector<ScaleClass> classes;
  std::vector<AgreementPoint> agreement;  // empty: uncalibrated

  const SectionCodec& section(uint32_t group, Side side) const {
    return sections[2 * group + static_cast<uint32_t>(side)];
  }
  uint32_t section_width(uint32_t group, Side side) const {
    return groups[group].layers * geometry.channels(side);
  }
  // Sink tokens of a chunk; they are kept out of the planes.
  uint32_t sinks_in(TokenRange tokens) const;
  // Passes every class has tables for: the largest drop_bits[0] of any section.
  uint32_t passes() const;
  bool operator==(const Profile&) const = default;
};

// Every invariant above, on a profile built by code or read from bytes. The message names the group
// and side or the class.
Check validate(const Profile& profile);

}  // namespace kvcast::kernels
