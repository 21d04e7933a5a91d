// --implementation of every command: which instruction set the codec uses.
#pragma once

#include <CLI/CLI.hpp>

namespace kvcast::tools {

// The option sets KVCAST_IMPLEMENTATION for this process; an unknown or unsupported name, there or
// in the environment, is a usage error.
void add_implementation_option(CLI::App& app);

}  // namespace kvcast::tools
