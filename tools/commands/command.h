// The subcommands of `kvcast`. Each file here adds one to the CLI11 app; its callback leaves the
// exit code in `exit_code`: 0 done, 1 a promise not kept, 2 usage, 3 input/output or network, 4
// corrupt or incompatible input. With --json a command prints one JSON object on stdout; progress
// and logs always go to stderr.
#pragma once

#include <CLI/CLI.hpp>

#include "manifests/result.h"

namespace kvcast::tools {

void add_prefill_command(CLI::App& app, int& exit_code);
void add_pack_command(CLI::App& app, int& exit_code);
void add_serve_command(CLI::App& app, int& exit_code);
void add_play_command(CLI::App& app, int& exit_code);
void add_simulate_command(CLI::App& app, int& exit_code);
void add_inspect_command(CLI::App& app, int& exit_code);
void add_verify_command(CLI::App& app, int& exit_code);
void add_calibrate_command(CLI::App& app, int& exit_code);
void add_eval_command(CLI::App& app, int& exit_code);
void add_doctor_command(CLI::App& app, int& exit_code);
void add_bench_command(CLI::App& app, int& exit_code);
void add_proxy_command(CLI::App& app, int& exit_code);
void add_token_command(CLI::App& app, int& exit_code);

// Prints `kvcast: <message>` on stderr and returns the exit code of the error's kind.
int report(const manifests::Error& error);

}  // namespace kvcast::tools
