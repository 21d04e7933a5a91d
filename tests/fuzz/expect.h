// For fuzz targets: a broken property ends the process, which the fuzzer and the replay notice.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace kvcast::fuzz {

inline void expect(bool property, const char* what) {
  if (property) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace kvcast::fuzz
