// From the channels of a section to its coefficients and back, a tile of up to kColumnTokens tokens
// at a time: kernels/plane_format.md, section 1 steps 2-4 and section 2. Channels and coefficients
// are columns (kernels/transform/column_kernels.h). An object serves one thread; the codec must
// outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/profile.h"
#include "kernels/transform/column_kernels.h"

namespace kvcast::kernels {

// Operations happen in one fixed order, token by token, so that packing is deterministic.
class ForwardTransform {
 public:
  // `bases`: kernels/transform/analysis_basis.h; they must outlive it.
  ForwardTransform(const SectionCodec& codec, const ColumnKernels& kernels,
                   std::span<const std::vector<float>> bases);

  // [width] columns to fill, RoPE undone; normalise() those filled, then run().
  std::span<float> channels();
  void normalise(size_t first, size_t count);
  void run();
  std::span<const float* const> coefficients() const;  // [C] columns, in coded order

 private:
  const SectionCodec& codec_;
  const ColumnKernels& kernels_;
  std::span<const std::vector<float>> bases_;  // [block]: [rank][width]
  std::vector<float> channels_, components_;
  std::vector<const float*> coded_;
};

// Coefficients bf16; channels with mean and scale applied, before RoPE is redone.
class InverseTransform {
 public:
  // `bases`: kernels/transform/packed_bases.h, of these kernels; they must outlive it.
  InverseTransform(const SectionCodec& codec, const InverseKernels& kernels,
                   std::span<const std::vector<float>> bases);

  std::span<uint16_t> coefficients() { return coefficients_; }  // [C] columns to fill, coded order
  // The channels come in order, as many at a time as the blocks allow, so that they are still near
  // when they are used.
  void begin();
  bool done() const { return computed_ == codec_.mean.size(); }
  size_t advance();                                  // answers how many of the channels are there
  std::span<float> channels() { return channels_; }  // [width] columns

 private:
  const SectionCodec& codec_;
  const InverseKernels& kernels_;
  std::span<const std::vector<float>> bases_;  // [block], packed
  std::vector<uint16_t> coefficients_;
  std::vector<const uint16_t*> components_;  // [C]
  std::vector<float> scratch_, channels_;
  size_t computed_ = 0, block_ = 0, component_ = 0;
};

}  // namespace kvcast::kernels
