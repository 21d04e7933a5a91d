// Test helper: sections of random geometry, profile and data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/plane.h"

namespace kvcast::kernels {

struct RandomSection {
  Profile profile;
  uint32_t group = 0;
  Side side = Side::kKey;
  TokenRange tokens;
  DType dtype = DType::kBf16;
  bool truncated = false;                    // a block leaves components out
  std::vector<std::vector<std::byte>> rows;  // [layer in group]: tokens, with gaps between them
  size_t token_stride_bytes = 0;

  std::vector<TensorView> views() const;
  uint32_t width() const { return profile.section_width(group, side); }
  float value(uint32_t layer, uint32_t token, uint32_t channel) const;
  void set_value(uint32_t layer, uint32_t token, uint32_t channel, float value);
};

// Heads 1-9, dims that are no multiple of 32, keys unlike values, groups of 1-3 layers, 1-300
// tokens, any element type, transform or none, ladders from 0 to 3,2,1,0, chunks with sinks, after
// them, and of nothing else. Some channels are constant, some have outliers.
RandomSection random_section(std::mt19937& random);

// How far neighbouring values of the type lie apart, relative to the power of two below.
float last_place(DType dtype);

// Where a section is decoded to: bytes between the rows hold a pattern that must survive.
class Destination {
 public:
  Destination(const RandomSection& section);
  std::vector<MutableTensorView> views();
  std::vector<float> row(uint32_t layer, uint32_t token) const;  // [channels]
  std::vector<std::byte> raw_row(uint32_t layer, uint32_t token) const;
  bool gaps_untouched() const;

 private:
  const RandomSection& section_;
  size_t row_bytes_, stride_bytes_;
  std::vector<std::vector<std::byte>> rows_;
};

}  // namespace kvcast::kernels
