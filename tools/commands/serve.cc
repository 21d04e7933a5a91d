#include <cstdio>
#include <memory>

#include "origin/serve_command.h"
#include "tools/commands/command.h"

namespace kvcast::tools {

void add_serve_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("serve", "Serve a directory of files, or a store in S3, over HTTP");
  const auto options = std::make_shared<origin::ServeOptions>();
  origin::add_serve_options(*command, "kvcast serve", *options);
  options->notice = [](const std::string& line) {
    std::fprintf(stderr, "kvcast: %s\n", line.c_str());
  };
  command->callback([options, &exit_code] {
    const manifests::Status status =
        origin::serve_until_signal(*options, [&](const std::string& line) {
          std::FILE* const to = options->json ? stdout : stderr;
          std::fprintf(to, "%s\n", line.c_str());
          std::fflush(to);
        });
    exit_code = status.ok() ? 0 : report(status.error());
  });
}

}  // namespace kvcast::tools
