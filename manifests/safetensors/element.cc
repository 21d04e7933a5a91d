#include "manifests/safetensors/element.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kvcast::manifests {
namespace {

using ElementType = std::pair<std::string_view, uint64_t>;
constexpr std::array<ElementType, 15> kElementTypes = {{{"F64", 8},
                                                        {"I64", 8},
                                                        {"U64", 8},
                                                        {"F32", 4},
                                                        {"I32", 4},
                                                        {"U32", 4},
                                                        {"F16", 2},
                                                        {"BF16", 2},
                                                        {"I16", 2},
                                                        {"U16", 2},
                                                        {"I8", 1},
                                                        {"U8", 1},
                                                        {"BOOL", 1},
                                                        {"F8_E4M3", 1},
                                                        {"F8_E5M2", 1}}};

constexpr std::array<std::string_view, 5> kKvTypes = {"F16", "BF16", "F32", "F8_E4M3", "F8_E5M2"};

}  // namespace

bool is_kv_dtype(std::string_view dtype) {
  return std::find(kKvTypes.begin(), kKvTypes.end(), dtype) != kKvTypes.end();
}

std::optional<uint64_t> tensor_bytes(std::string_view dtype, std::span<const uint64_t> shape) {
  const auto type = std::find_if(kElementTypes.begin(), kElementTypes.end(),
                                 [&](const ElementType& known) { return known.first == dtype; });
  if (type == kElementTypes.end()) return std::nullopt;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  uint64_t bytes = type->second;
  for (const uint64_t size : shape) {
    if (size > UINT64_MAX / bytes) return std::nullopt;
    bytes *= size;
  }
  return bytes;
}

}  // namespace kvcast::manifests
