#include "kernels/implementation.h"

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels/device_runtime.h"

namespace kvcast::kernels {
namespace {

constexpr std::array kAll = {Implementation::kScalar, Implementation::kAvx2,
                             Implementation::kAvx512, Implementation::kAmx};

constexpr std::string_view kCudaName = "cuda";

}  // namespace

std::span<const Implementation> implementations() {
  return kAll;
}

const char* implementation_name(Implementation implementation) {
  switch (implementation) {
    case Implementation::kScalar:
      return "scalar";
    case Implementation::kAvx2:
      return "avx2";
    case Implementation::kAvx512:
      return "avx512";
    case Implementation::kAmx:
      return "amx";
  }
  return "unknown";
}

Checked<Implementation> find_implementation(std::string_view name) {
  Implementation fastest = Implementation::kScalar;
  std::string names;
  for (const Implementation implementation : kAll) {
    const std::string_view known = implementation_name(implementation);
    names += (names.empty() ? "" : ", ") + std::string(known);
    if (name == known) {
      if (runs_here(implementation)) return implementation;
      return Fault{"this CPU lacks the instructions of implementation " + std::string(known)};
    }
    if (runs_here(implementation)) fastest = implementation;
  }
  if (name == kCudaName) {
    if (const auto device = open_cuda_device(0); !device) return device.fault();
    return fastest;
  }
  if (name.empty()) return fastest;
  return Fault{"no implementation is called \"" + std::string(name) + "\"; there are " + names +
               ", " + std::string(kCudaName)};
}

Implementation default_implementation() {
  const char* name = std::getenv(kImplementationVariable);
  const auto found = find_implementation(name ? name : "");
  if (!found) {
    throw std::invalid_argument(std::string(kImplementationVariable) + ": " + found.fault().what);
  }
  return *found;
}

}  // namespace kvcast::kernels
