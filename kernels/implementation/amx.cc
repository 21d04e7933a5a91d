#include "kernels/implementation/amx.h"

#include <cpuid.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace kvcast::kernels {
namespace {

bool cpu_has_tiles_of_bf16() {
  constexpr unsigned kBf16Tiles = 1u << 22, kTiles = 1u << 24;  // EDX of leaf 7
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kBf16Tiles) && (d & kTiles);
}

// Documentation/arch/x86/xstate.rst of Linux. Its headers may be older than the call.
bool system_lets_us() {
#ifdef __linux__
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

bool may_use_amx() {
  static const bool may = cpu_has_tiles_of_bf16() && system_lets_us();
  return may;
}

}  // namespace kvcast::kernels
