// Undo and redo rotary position embedding on keys (RoFormer, Su et al. 2021, section 3.2). One
// generator of angles: double precision, so that what undo removes redo restores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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

// How a model's frequencies depart from those, so that it reaches longer contexts than it was
// trained on. Names and meaning of the fields: Hugging Face transformers, modeling_rope_utils.py.
// Linear: kaiokendev 2023. Dynamic NTK: bloc97 and emozilla 2023. YaRN: Peng et al. 2023. LongRoPE:
// Ding et al. 2024. Llama 3.1: Meta 2024.
struct RopeScaling {
  enum class Rule : uint8_t { kNone, kLinear, kDynamic, kYarn, kLlama3, kLongRope };
  Rule rule = Rule::kNone;
  double factor = 1;
  double trained_positions = 0;  // original_max_position_embeddings; all rules but linear
  double context_tokens = 0;     // dynamic, LongRoPE: the length of the context decides
  double low_freq_factor = 1, high_freq_factor = 4;  // Llama 3; low < high
  double beta_fast = 32, beta_slow = 1;              // YaRN, and the next three
  bool truncate = true;                              // ramp from and to whole dims
  double mscale = 0, mscale_all_dim = 0;             // 0: not stated
  std::optional<double> attention_factor;            // YaRN, LongRoPE; absent: the rule's own
  std::vector<double> short_factor, long_factor;     // LongRoPE: a divisor for each frequency
};

struct RopeFrequencies {
  std::vector<double> inv_freq;  // [rotary_dims / 2]
  double attention_scaling = 1;
};

// The one generator of frequencies. Finite for theta > 1, positive factors and positions above 1.
RopeFrequencies scaled_frequencies(double theta, uint32_t rotary_dims, const RopeScaling& scaling);

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
