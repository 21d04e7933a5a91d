// Instruction sets that the codec is written for. All give the same bytes and the same
// coefficients, bit for bit; scalar is the reference and runs everywhere.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/fault.h"

namespace kvcast::kernels {

enum class Implementation : uint8_t {
  kScalar = 0,
  kAvx2 = 1,
  kAvx512 = 2,  // F, BW, DQ, VL and VBMI2: Ice Lake, Zen 4 and later
  kAmx = 3,     // and tiles of bf16: Sapphire Rapids and later
};

// From the plainest to the fastest.
std::span<const Implementation> implementations();
const char* implementation_name(Implementation implementation);  // "scalar", "avx2", "avx512", "amx"
bool runs_here(Implementation implementation);  // the CPU and the system have what it needs

// The one named; for "", and for "cuda" where a CUDA device answers (device_decode.h), the fastest
// of the CPU's. Fault: an unknown name, one whose instructions this CPU lacks, or no device.
Checked<Implementation> find_implementation(std::string_view name);

// What a codec uses unless told otherwise: the one that the environment variable
// KVCAST_IMPLEMENTATION names, else the fastest. Throws std::invalid_argument where
// find_implementation() answers a fault.
inline constexpr const char* kImplementationVariable = "KVCAST_IMPLEMENTATION";
Implementation default_implementation();

}  // namespace kvcast::kernels
