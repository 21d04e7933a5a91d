#include "kernels/rope.h"

#include <cmath>

namespace kvcast::kernels {

std::vector<double> rope_frequencies(double theta, uint32_t rotary_dims) {
  std::vector<double> frequencies(rotary_dims / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = std::pow(theta, -2.0 * static_cast<double>(i) / rotary_dims);
  }
  return frequencies;
}

RopeTable::RopeTable(const Rope& rope, uint64_t begin, uint32_t count) : rope_(&rope) {
  const size_t frequencies = rope.inv_freq.size();
  cos_.resize(count * frequencies);
  sin_.resize(count * frequencies);
  for (uint32_t row = 0; row < count; ++row) {
    const double position = static_cast<double>(begin + row);
    for (size_t i = 0; i < frequencies; ++i) {
      const double angle = position * rope.inv_freq[i];
      cos_[row * frequencies + i] = static_cast<float>(std::cos(angle));
      sin_[row * frequencies + i] = static_cast<float>(std::sin(angle));
    }
  }
}

void RopeTable::undo(uint32_t row, std::span<float> head) const {
  rotate(row, head, -1.0f, static_cast<float>(1.0 / rope_->attention_scaling));
}

void RopeTable::redo(uint32_t row, std::span<float> head) const {
  rotate(row, head, 1.0f, static_cast<float>(rope_->attention_scaling));
}

void RopeTable::rotate(uint32_t row, std::span<float> head, float sign, float scaling) const {
  const size_t pairs = rope_->inv_freq.size();
  const bool half_split = rope_->layout == Rope::Layout::kHalfSplit;
  const size_t stride = half_split ? 1 : 2;
  float* first = head.data() + rope_->first_dim;
  float* second = first + (half_split ? pairs : 1);
  const float* cos_row = cos_.data() + row * pairs;
  const float* sin_row = sin_.data() + row * pairs;
  for (size_t i = 0; i < pairs; ++i) {
    const float x = first[stride * i];
    const float y = second[stride * i];
    const float sine = sign * sin_row[i];
    first[stride * i] = scaling * (x * cos_row[i] - y * sine);
    second[stride * i] = scaling * (x * sine + y * cos_row[i]);
  }
}

}  // namespace kvcast::kernels
