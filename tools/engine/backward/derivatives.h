// Derivatives of the element-wise parts of a pass (tools/engine/forward/pointwise.h).
#pragma once

#include <cstddef>
#include <span>

namespace kvcast::engine {

// Adds to `to` the gradient with respect to `from`, given that with respect to its RMS norm.
void add_rms_norm_gradient(std::span<const float> from, std::span<const float> weight,
                           float epsilon, const float* gradient, float* to);

// Of silu(gate) * up. In place: gate and up become their gradients, `gradient` being the product's.
void silu_multiply_gradient(std::span<float> gate, float* up, const float* gradient);

// scores become softmax's probabilities; the last `count - valid` of them 0.
void softmax(std::span<float> scores, size_t valid);

// gradient (of the probabilities) becomes that of the scores.
void softmax_gradient(std::span<const float> probabilities, float* gradient);

}  // namespace kvcast::engine
