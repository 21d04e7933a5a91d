#include "kernels/rope.h"

#include <algorithm>
#include <cmath>

namespace kvcast::kernels {

std::vector<double> rope_frequencies(double theta, uint32_t rotary_dims) {
  std::vector<double> frequencies(rotary_dims / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = std::pow(theta, -2.0 * static_cast<double>(i) / rotary_dims);
  }
  return frequencies;
}

RopeAngles::RopeAngles(const Rope& rope) : rope_(&rope) {
  const size_t frequencies = rope.inv_freq.size();
  powers_.resize(kParts * frequencies);
  for (uint32_t part = 0; part < kParts; ++part) {
    for (size_t i = 0; i < frequencies; ++i) {
      Powers& powers = powers_[part * frequencies + i];
      powers.cosine[0] = 1;
      powers.sine[0] = 0;
      for (uint32_t bit = 0; bit < kBits; ++bit) {
        const double angle = static_cast<double>(1u << (part * kBits + bit)) * rope.inv_freq[i];
        const double c = std::cos(angle), s = std::sin(angle);
        for (uint32_t j = 0; j < 1u << bit; ++j) {
          powers.cosine[(1u << bit) + j] = c * powers.cosine[j] - s * powers.sine[j];
          powers.sine[(1u << bit) + j] = c * powers.sine[j] + s * powers.cosine[j];
        }
      }
    }
  }
}

void RopeAngles::columns(uint64_t begin, size_t count, size_t stride, float* cosines,
                         float* sines) const {
  const size_t frequencies = rope_->inv_freq.size();
  for (size_t done = 0; done < count;) {
    const uint64_t position = begin + done;
    const size_t low = position % kPowers;
    const size_t run = std::min<size_t>(count - done, kPowers - low);
    const uint64_t beyond = position >> (kParts * kBits);
    for (size_t i = 0; i < frequencies; ++i) {
      double c = 1, s = 0;
      if (beyond > 0) {
        const double angle = static_cast<double>(beyond << (kParts * kBits)) * rope_->inv_freq[i];
        c = std::cos(angle);
        s = std::sin(angle);
      }
      for (uint32_t part = kParts - 1; part > 0; --part) {
        const Powers& powers = powers_[part * frequencies + i];
        const size_t at = position >> (part * kBits) & (kPowers - 1);
        const double next = c * powers.cosine[at] - s * powers.sine[at];
        s = c * powers.sine[at] + s * powers.cosine[at];
        c = next;
      }
      const double* const cosine = powers_[i].cosine + low;
      const double* const sine = powers_[i].sine + low;
      float* const to_cosine = cosines + i * stride + done;
      float* const to_sine = sines + i * stride + done;
      for (size_t j = 0; j < run; ++j) {
        to_cosine[j] = static_cast<float>(c * cosine[j] - s * sine[j]);
        to_sine[j] = static_cast<float>(c * sine[j] + s * cosine[j]);
      }
    }
    done += run;
  }
}

RopeTable::RopeTable(const Rope& rope, uint64_t begin, uint32_t count)
    : RopeTable(RopeAngles(rope), begin, count) {}

RopeTable::RopeTable(const RopeAngles& angles, uint64_t begin, uint32_t count)
    : rope_(&angles.rope()) {
  const size_t frequencies = rope_->inv_freq.size();
  std::vector<float> cosines(frequencies * count), sines(frequencies * count);
  angles.columns(begin, count, count, cosines.data(), sines.data());
  cos_.resize(cosines.size());
  sin_.resize(sines.size());
  for (size_t i = 0; i < frequencies; ++i) {
    for (size_t row = 0; row < count; ++row) {
      cos_[row * frequencies + i] = cosines[i * count + row];
      sin_[row * frequencies + i] = sines[i * count + row];
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
