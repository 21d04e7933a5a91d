#include "tools/commands/bench.h"

#include "tools/commands/command.h"

namespace kvcast::tools {

void add_bench_command(CLI::App& app, int& exit_code) {
  CLI::App* bench = app.add_subcommand(
      "bench", "Measure the codec, the origin or the controllers on this machine");
  bench->require_subcommand(1);
  add_bench_codec(*bench, exit_code);
  add_bench_origin(*bench, exit_code);
  add_bench_play(*bench, exit_code);
  add_bench_reality(*bench, exit_code);
}

}  // namespace kvcast::tools
