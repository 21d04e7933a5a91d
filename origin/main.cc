// kvcast-origin: the server alone, for deployment.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "origin/program.h"
#include "origin/serve_command.h"

namespace {

int serve(kvcast::origin::ServeOptions& options) {
  options.notice = [](const std::string& line) {
    std::fprintf(stderr, "kvcast-origin: %s\n", line.c_str());
  };
  const kvcast::manifests::Status status =
      kvcast::origin::serve_until_signal(options, [&](const std::string& line) {
        std::FILE* const to = options.json ? stdout : stderr;
        std::fprintf(to, "%s\n", line.c_str());
        std::fflush(to);
      });
  if (status.ok()) return 0;
  std::fprintf(stderr, "kvcast-origin: %s\n", status.error().message.c_str());
  return static_cast<int>(status.error().kind);
}

int run(int argc, char** argv) {
  CLI::App app(
      "Serves a directory of files over HTTP/1.1: the origin of kvcast, and nothing else.");
  app.set_version_flag("--version", "kvcast-origin " KVCAST_VERSION);
  kvcast::origin::ServeOptions options;
  kvcast::origin::add_serve_options(app, "kvcast-origin", options);
  try {
    app.parse(argc, argv);
    return serve(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
}

}  // namespace

int main(int argc, char** argv) {
  return kvcast::origin::run_program("kvcast-origin", run, argc, argv);
}
