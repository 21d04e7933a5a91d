// The engine's element types by their safetensors names.
#pragma once

#include <optional>
#include <string_view>

#include "kernels/dtype.h"

namespace kvcast::engine {

// "F16", "BF16", "F32"; nothing for any other.
std::optional<kernels::DType> dtype_from_name(std::string_view name);

}  // namespace kvcast::engine
