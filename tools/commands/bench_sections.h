// A chunk in memory as the codec's benchmarks use it: every section of a profile, encoded, and room
// to decode it to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/plane.h"
#include "kernels/profile.h"
#include "tools/commands/bench_measure.h"

namespace kvcast::tools {

// Views into `kv`, which a caller fills: one tensor a (layer, side), [token][channel].
struct ChunkBytes {
  ChunkBytes(const kernels::Geometry& geometry, kernels::TokenRange tokens, kernels::DType dtype);

  std::vector<kernels::TensorView> views(const kernels::LayerGroup& layers,
                                         kernels::Side side) const;
  std::vector<kernels::MutableTensorView> mutable_views(const kernels::LayerGroup& layers,
                                                        kernels::Side side);
  std::vector<std::byte>& tensor(uint32_t layer, kernels::Side side) {
    return kv[2 * layer + static_cast<uint32_t>(side)];
  }

  kernels::Geometry geometry;
  kernels::TokenRange tokens;
  kernels::DType dtype;
  std::vector<std::vector<std::byte>> kv;  // [2 * layer + side]
};

using Sides = std::vector<kernels::Side>;

// Room for coefficients that begins at a cache line.
struct alignas(64) CoefficientRow {
  uint16_t lanes[32];
};
using CoefficientRows = std::vector<CoefficientRow>;

class BenchSections {
 public:
  struct Encoded {
    std::vector<std::vector<std::byte>> planes;
    std::vector<std::byte> sinks;
  };
  struct Section {
    uint32_t group;
    kernels::Side side;
    Encoded encoded;
  };

  // Encodes these sides of `chunk` with `profile`; both must outlive this.
  BenchSections(const kernels::Profile& profile, const ChunkBytes& chunk,
                Sides sides = {kernels::Side::kKey, kernels::Side::kValue});
  // Sections encoded before, perhaps with another profile of the same tables.
  BenchSections(const kernels::Profile& profile, const ChunkBytes& chunk,
                std::vector<Section> sections);

  const std::vector<Section>& sections() const { return sections_; }
  double elements() const;
  double bytes() const;  // of KV
  double bits_per_element(uint32_t levels) const;

  // Each the whole chunk, or those sides of it. Throw std::logic_error where the codec answers a
  // fault. `to` is overwritten.
  void encode(const kernels::Codec& codec) const;
  void decode_to_coefficients(const kernels::Codec& codec, CoefficientRows& scratch) const;
  void decode_to_kv(const kernels::Codec& codec, uint32_t levels, ChunkBytes& to) const;

 private:
  const kernels::Profile& profile_;
  const ChunkBytes& chunk_;
  Sides sides_;
  std::vector<Section> sections_;
};

}  // namespace kvcast::tools
