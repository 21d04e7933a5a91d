// Tensors of a check, in every layout that engines use, with bytes that nobody may touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/device_layout.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels::gpu_check {

enum class TensorShape : uint8_t { kContiguous, kPaged, kPacked, kAcrossLayers };
inline constexpr TensorShape kTensorShapes[] = {TensorShape::kContiguous, TensorShape::kPaged,
                                                TensorShape::kPacked, TensorShape::kAcrossLayers};
const char* tensor_shape_name(TensorShape shape);

// One side of all layers of a section, blocks of 4 to 32 tokens in random order, the first slot
// anywhere.
class TestTensor {
 public:
  static constexpr uint8_t kUntouched = 0xA5;

  TestTensor(TensorShape shape, const RandomSection& section, std::mt19937& random);
  size_t bytes() const { return bytes_; }
  std::vector<std::byte*> layers(std::byte* base_dev) const;
  // Valid as long as this and `layers`.
  DeviceTensor destination(const std::vector<std::byte*>& layers) const;

  // How many values differ from the expected ones; `wrong` says what is beyond a place, or was
  // written beside them.
  uint64_t compare(std::vector<std::byte> got, const RandomSection& section,
                   const Destination& expected, std::string& wrong) const;

 private:
  uint64_t offset(uint32_t layer, uint64_t slot, uint32_t head) const;

  DeviceLayout layout_;
  uint64_t layer_step_ = 0, side_ = 0;  // bytes from layer to layer; to this side of a pair
  std::vector<int32_t> blocks_;
  uint64_t first_slot_ = 0;
  size_t bytes_ = 0;
  uint32_t layers_ = 0;
};

}  // namespace kvcast::kernels::gpu_check
