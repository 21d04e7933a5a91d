// The numbers of one section of one chunk that its bytes do not say. Computed from the profile; the
// profile must outlive it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/fault.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

struct SectionShape {
  const Profile* profile = nullptr;
  const SectionCodec* codec = nullptr;
  Side side = Side::kKey;
  LayerGroup layers;
  TokenRange tokens;
  uint32_t sinks = 0;         // of the tokens, the first ones
  uint32_t coded_tokens = 0;  // the others: T
  uint32_t channels = 0;      // of one layer
  uint32_t width = 0;         // W
  uint32_t coefficients = 0;  // C
  uint32_t groups = 0;        // channel groups: G

  // Index of the RoPE that turns the keys of a layer of the group, or kNoRope.
  uint8_t rope(uint32_t layer) const { return profile->layer_rope[layers.first_layer + layer]; }

  uint32_t lanes(uint32_t channel_group) const {
    return std::min(kLanes, coefficients - channel_group * kLanes);
  }
};

// Fault: more tokens or symbols than plane_format.md, section 7, allows. Throws
// std::invalid_argument where the profile has no such transform group.
Checked<SectionShape> shape_of_section(const Profile& profile, uint32_t group, Side side,
                                       TokenRange tokens);

}  // namespace kvcast::kernels
