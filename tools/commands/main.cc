#include <cerrno>
#include <cstdio>
#include <system_error>

#include "origin/program.h"
#include "tools/commands/command.h"
#include "tools/commands/gc.h"
#include "tools/commands/implementation_option.h"
#include "tools/commands/interrupt.h"

namespace {

int run(int argc, char** argv) {
  CLI::App app(
      "kvcast streams LLM KV caches over HTTP: pack a cache into chunks at several quality levels, "
      "serve them as\n"
      "plain files, play them into an engine before a time-to-first-token deadline.");
  app.set_version_flag("--version", "kvcast " KVCAST_VERSION);
  app.require_subcommand(1);
  kvcast::tools::add_implementation_option(app);
  app.footer(
      "A first session:\n"
      "  kvcast prefill --model tests/data/pocket-lm --text story.txt --out kv.safetensors\n"
      "  kvcast pack kv.safetensors --out store --chunk-tokens 128\n"
      "  kvcast serve store --listen 127.0.0.1:8080 --pace 40\n"
      "  kvcast play http://127.0.0.1:8080/t/public/m/ID.json --ttft-slo-ms 500 --engine "
      "tests/data/pocket-lm\n"
      "Exit codes: 0 done, 1 a promise not kept (SLO missed, verification failed), 2 usage, 3 "
      "input/output or network,\n"
      "4 corrupt or incompatible input.");

  int exit_code = 0;
  using namespace kvcast::tools;
  for (auto* add : {add_prefill_command, add_pack_command, add_serve_command, add_play_command,
                    add_simulate_command, add_inspect_command, add_verify_command,
                    add_calibrate_command, add_eval_command, add_doctor_command, add_bench_command,
                    add_proxy_command, add_gc_command, add_token_command}) {
    add(app, exit_code);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}

// What was printed must have got out, or the exit code would say that it had.
int flush(int exit_code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  std::fprintf(stderr, "kvcast: cannot write to the standard output: %s\n",
               std::generic_category().message(errno).c_str());
  return 3;
}

int run_to_the_end(int argc, char** argv) {
  return flush(run(argc, argv));
}

}  // namespace

int main(int argc, char** argv) {
  kvcast::tools::unblock_stop_signals();
  return kvcast::origin::run_program("kvcast", run_to_the_end, argc, argv);
}
