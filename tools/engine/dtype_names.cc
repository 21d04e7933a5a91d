#include "tools/engine/dtype_names.h"

namespace kvcast::engine {

std::optional<kernels::DType> dtype_from_name(std::string_view name) {
  for (const kernels::DType dtype :
       {kernels::DType::kF16, kernels::DType::kBf16, kernels::DType::kF32}) {
    if (name == kernels::dtype_name(dtype)) return dtype;
  }
  return std::nullopt;
}

}  // namespace kvcast::engine
