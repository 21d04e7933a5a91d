#include "manifests/kv/tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "manifests/json/document.h"
#include "manifests/safetensors/element.h"

namespace kvcast::manifests {
namespace {

constexpr uint32_t kMaxLayers = 1024;
constexpr uint64_t kMaxTokens = uint64_t{1} << 36;  // 65,536 chunks of 2^20
constexpr uint64_t kMaxChannels = 65536;
constexpr uint64_t kMaxHeadsOrDim = 65535;  // 16 bits in an object's header

struct TensorName {
  uint32_t layer = 0;
  bool is_key = false;
};

// "layers.7.key": no sign, no leading zero.
std::optional<TensorName> parse_name(const std::string& name) {
  constexpr std::string_view kPrefix = "layers.";
  TensorName parsed;
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), parsed.layer);
  if (parsed.layer >= kMaxLayers) return std::nullopt;
  parsed.is_key = name == key_tensor_name(parsed.layer);
  if (!parsed.is_key && name != value_tensor_name(parsed.layer)) return std::nullopt;
  return parsed;
}

// Layers have keys, and either all of them values or none.
std::string names_fault(const SafetensorsHeader& header, uint32_t& layers, bool& has_values) {
  layers = 0;
  has_values = false;
  for (const auto& [name, tensor] : header.tensors) {
    const auto parsed = parse_name(name);
    if (!parsed) {
      return fmt::format(
          "tensor {} is no part of a KV cache: expected layers.<i>.key and layers.<i>.value, i "
          "from 0 to {}",
          printable(name, 80), kMaxLayers - 1);
    }
    layers = std::max(layers, parsed->layer + 1);
    has_values = has_values || !parsed->is_key;
  }
  if (layers == 0) return "no tensors: expected layers.<i>.key and layers.<i>.value";
  for (uint32_t layer = 0; layer < layers; ++layer) {
    for (const bool is_key : {true, false}) {
      const std::string name = is_key ? key_tensor_name(layer) : value_tensor_name(layer);
      if ((is_key || has_values) && !header.tensors.contains(name)) {
        return fmt::format("tensor {} is missing, of {} layers", name, layers);
      }
    }
  }
  return {};
}

// The first layer's tensor, which the others must equal.
std::string shape_fault(const std::string& name, const TensorInfo& tensor, bool may_be_empty) {
  const auto fault = [&](std::string_view what) {
    return fmt::format("tensor {}, {} [{}]: {}", name, tensor.dtype, fmt::join(tensor.shape, ", "),
                       what);
  };
  if (!is_kv_dtype(tensor.dtype)) {
    return fault("expected element type F16, BF16, F32, F8_E4M3 or F8_E5M2");
  }
  if (tensor.shape.size() != 3) return fault("expected the shape [tokens, kv_heads, head_dim]");
  const uint64_t tokens = tensor.shape[0], heads = tensor.shape[1], dim = tensor.shape[2];
  if (tokens < 1 || tokens > kMaxTokens) return fault("expected 1 to 2^36 tokens");
  if (heads > kMaxHeadsOrDim || dim > kMaxHeadsOrDim || heads * dim > kMaxChannels) {
    return fault("expected at most 65535 heads and dims and 65536 of their product");
  }
  if (heads * dim == 0 && !may_be_empty) return fault("expected heads and dims");
  return {};
}

std::string sameness_fault(const std::string& name, const TensorInfo& tensor,
                           const std::string& first_name, const TensorInfo& first) {
  if (tensor.dtype == first.dtype && tensor.shape == first.shape) return {};
  return fmt::format("tensor {}, {} [{}], differs from {}, {} [{}]", name, tensor.dtype,
                     fmt::join(tensor.shape, ", "), first_name, first.dtype,
                     fmt::join(first.shape, ", "));
}

}  // namespace

std::string key_tensor_name(uint32_t layer) {
  return fmt::format("layers.{}.key", layer);
}
std::string value_tensor_name(uint32_t layer) {
  return fmt::format("layers.{}.value", layer);
}

std::string load_tensors(const SafetensorsHeader& header, KvFileInfo& info) {
  ModelIdentity& model = info.model;
  bool has_values = false;
  if (std::string fault = names_fault(header, model.layers, has_values); !fault.empty()) {
    return fault;
  }
  const std::string key_name = key_tensor_name(0), value_name = value_tensor_name(0);
  const TensorInfo& key = header.tensors.at(key_name);
  const TensorInfo none{key.dtype, {key.shape.empty() ? 0 : key.shape[0], 0, 0}};
  const TensorInfo& value = has_values ? header.tensors.at(value_name) : none;
  if (std::string fault = shape_fault(key_name, key, false); !fault.empty()) return fault;
  if (std::string fault = shape_fault(value_name, value, true); !fault.empty()) return fault;
  if (key.dtype != value.dtype || key.shape[0] != value.shape[0]) {
    return fmt::format("tensor {}: {} and {} tokens, but {} has {} and {}", value_name, value.dtype,
                       value.shape[0], key_name, key.dtype, key.shape[0]);
  }
  for (uint32_t layer = 1; layer < model.layers; ++layer) {
    for (const bool is_key : {true, false}) {
      if (!is_key && !has_values) continue;
      const std::string name = is_key ? key_tensor_name(layer) : value_tensor_name(layer);
      std::string fault = sameness_fault(name, header.tensors.at(name),
                                         is_key ? key_name : value_name, is_key ? key : value);
      if (!fault.empty()) return fault;
    }
  }
  info.tokens = key.shape[0];
  model.dtype = key.dtype;
  model.key_heads = static_cast<uint32_t>(key.shape[1]);
  model.key_dim = static_cast<uint32_t>(key.shape[2]);
  model.value_heads = value.bytes > 0 ? static_cast<uint32_t>(value.shape[1]) : 0;
  model.value_dim = value.bytes > 0 ? static_cast<uint32_t>(value.shape[2]) : 0;
  return {};
}

}  // namespace kvcast::manifests
