// Undo and redo rotary position embedding on keys (RoFormer, Su et al. 2021, section 3.2). One
// generator of angles: double precision, so that what undo removes redo restores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/profile.h"

namespace kvcast::kernels {

// Rotary frequencies theta^(-2i/rotary_dims), i < rotary_dims/2.
std::vector<double> rope_frequencies(double theta, uint32_t rotary_dims);

// The angles of every position: cos and sin of position * inv_freq as products of unit complex
// numbers for the position's bits, in double precision, so that a position's are the same whatever
// is asked for with it, and cost no call of the mathematical library. Immutable.
class RopeAngles {
 public:
  explicit RopeAngles(const Rope& rope);
  const Rope& rope() const { return *rope_; }
  // For positions [begin, begin + count): [frequency][count], `stride` apart.
  void columns(uint64_t begin, size_t count, size_t stride, float* cosines, float* sines) const;

 private:
  static constexpr uint32_t kBits = 6, kPowers = 1u << kBits, kParts = 3;
  struct Powers {
    double cosine[kPowers], sine[kPowers];
  };
  const Rope* rope_;            // must outlive this
  std::vector<Powers> powers_;  // [part][frequency]: of part's bits of the position
};

// cos and sin for positions [begin, begin + count), one row a position, one column a frequency.
// Immutable.
class RopeTable {
 public:
  RopeTable(const Rope& rope, uint64_t begin, uint32_t count);
  RopeTable(const RopeAngles& angles, uint64_t begin, uint32_t count);
  void undo(uint32_t row, std::span<float> head) const;  // head: the dims of one head of one token
  void redo(uint32_t row, std::span<float> head) const;

  const Rope& rope() const { return *rope_; }
  const float* cosines(uint32_t row) const { return cos_.data() + row * rope_->inv_freq.size(); }
  const float* sines(uint32_t row) const { return sin_.data() + row * rope_->inv_freq.size(); }

 private:
  void rotate(uint32_t row, std::span<float> head, float sign, float scaling) const;
  const Rope* rope_;              // must outlive the table
  std::vector<float> cos_, sin_;  // [count][frequencies]
};

}  // namespace kvcast::kernels
