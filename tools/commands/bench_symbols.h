// Symbols of known entropy, and profiles that code them: a two-sided geometric distribution, as
// quantised KV coefficients nearly have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/profile.h"

namespace kvcast::tools {

// [magnitude]: the probability of each of its two signs.
std::vector<double> geometric_of_entropy(double bits);

// The same values on a scale `factor` times as fine.
std::vector<double> on_finer_scale(double bits, double factor);

// Values as bf16, which holds integers up to 256 exactly; larger ones are cut.
std::vector<uint16_t> draw_bf16(const std::vector<double>& distribution, size_t count);

// One class for these values, coded with a ladder that drops `dropped` bits in the base.
kernels::ScaleClass class_of(const std::vector<double>& distribution, uint32_t dropped);

// Channels as they are, step 1, one layer group of all layers.
kernels::Profile plain_profile(const kernels::Geometry& geometry,
                               const std::vector<double>& distribution,
                               std::vector<uint8_t> drop_bits);

}  // namespace kvcast::tools
