// Mean and scale of channels, robust where a context is too short for statistics.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvcast::kernels {

struct Moments {
  std::vector<float> mean, scale;  // [channels]; scale is finite and > 0
};

// x: [tokens][channels], tokens >= 1, finite. `few_tokens`: nothing is known of the channels one by
// one, so mean 0 and the second moment of all of them. Between 1 and 32 tokens the estimate passes
// from that to each channel's own. A constant channel gets a scale small beside its mean and beside
// the other channels, yet large enough for its later variation to be coded.
Moments measure_moments(std::span<const float> x, uint32_t tokens, uint32_t channels,
                        bool few_tokens);

}  // namespace kvcast::kernels
