// `kvcast gc`, as tools/commands/command.h has it for the others.
#pragma once

#include <CLI/CLI.hpp>

namespace kvcast::tools {

void add_gc_command(CLI::App& app, int& exit_code);

}  // namespace kvcast::tools
