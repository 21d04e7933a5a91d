// What every kernel of an encoding is given.
#pragma once

#include "kernels/cuda/destination.cuh"
#include "kernels/cuda/encode_tasks.h"

namespace kvcast::kernels {
namespace {

struct EncodeArguments {
  DecodeArguments common;  // profile, descriptors, scratch, errors
  EncodeTasks tasks;
  std::byte* streams;
  std::byte* output;

  KVCAST_DEVICE const EncodeSection& section(uint32_t index) const {
    return common.list(tasks.sections)[index];
  }
  KVCAST_DEVICE const EncodeClassImage& scale_class(uint32_t index) const {
    return at<EncodeClassImage>(common.profile, tasks.classes)[index];
  }
  // Values of a channel group: [coded token][lane].
  KVCAST_DEVICE float* values(const EncodeSection& section, uint32_t group) const {
    return at<float>(common.scratch, section.values) +
           size_t{group} * kWarpLanes * section.place.tokens;
  }
};

// kernels/quantise/quantiser.h
KVCAST_DEVICE int32_t quantised(float y, float step, float rounding) {
  constexpr float kLimit = 1 << 30;
  const float magnitude = add(multiply(float_of(bits_of(y) & 0x7FFFFFFF), divide(1, step)), rounding);
  const auto number = static_cast<int32_t>(magnitude < kLimit ? magnitude : kLimit);
  return (bits_of(y) >> 31) != 0 ? -number : number;
}
KVCAST_DEVICE uint32_t magnitude_of(int32_t value) {
  return static_cast<uint32_t>(value < 0 ? -value : value);
}

}  // namespace
}  // namespace kvcast::kernels
