#include <cstdio>

#include "tools/commands/command.h"

namespace kvcast::tools {

int report(const manifests::Error& error) {
  std::fprintf(stderr, "kvcast: %s\n", error.message.c_str());
  return static_cast<int>(error.kind);
}

}  // namespace kvcast::tools
