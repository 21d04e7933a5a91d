// Sizes of safetensors tensors. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kvcast::manifests {

inline constexpr size_t kMaxTensorDims = 8;

// Whether a KV cache may have elements of this type.
bool is_kv_dtype(std::string_view dtype);

// Of a tensor with this element type and shape; nothing if the type is unknown or 64 bits overflow.
std::optional<uint64_t> tensor_bytes(std::string_view dtype, std::span<const uint64_t> shape);

}  // namespace kvcast::manifests
