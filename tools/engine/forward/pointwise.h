// Element-wise parts of the forward pass, written so that compilers vectorise them.
#pragma once

#include <cstddef>
#include <span>

namespace kvcast::engine {

// to = from / rms(from) * weight (Zhang & Sennrich 2019).
void rms_norm(std::span<const float> from, std::span<const float> weight, float epsilon, float* to);

// gate = silu(gate) * up, silu(x) = x / (1 + e^-x).
void silu_multiply(std::span<float> gate, const float* up);

// values = e^(values - shift); returns their sum. Relative error below 2e-7; exponents are clamped
// to
// [-87.3, 88], so that the smallest result is 1.2e-38.
float exp_shifted(std::span<float> values, float shift);

// The largest value; values must not be empty.
float largest(std::span<const float> values);

}  // namespace kvcast::engine
