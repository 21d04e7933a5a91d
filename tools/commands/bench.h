// Benchmarks print and never decide a test. Rows of one run are comparable; rows of two runs, on a
// shared machine, less so.
#pragma once

#include <CLI/CLI.hpp>

namespace kvcast::tools {

void add_bench_codec(CLI::App& bench, int& exit_code);
void add_bench_origin(CLI::App& bench, int& exit_code);
void add_bench_play(CLI::App& bench, int& exit_code);
void add_bench_reality(CLI::App& bench, int& exit_code);

}  // namespace kvcast::tools
