// Test helper: sections that each stress one thing.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

// Values of one section of one layer, step 1, no transform: token-major.
struct NamedInput {
  std::string kind;
  uint32_t tokens, channels;
  std::vector<uint8_t> drop_bits;
  std::function<double(std::mt19937&, uint32_t token, uint32_t channel)> draw;
};

std::vector<NamedInput> named_inputs();
Profile profile_of(const NamedInput& input);
std::vector<float> draw_values(const NamedInput& input, uint32_t seed);     // [token][channel]
TensorView view_of(const NamedInput& input, const std::vector<float>& kv);  // fp32

}  // namespace kvcast::kernels
