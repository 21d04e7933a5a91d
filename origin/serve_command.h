// What `kvcast serve` and `kvcast-origin` share: their flags, and serving until a signal.
#pragma once

#include <functional>
#include <string>

#include "manifests/result.h"
#include "origin/server.h"

namespace CLI {
class App;
}

namespace kvcast::origin {

struct ServeOptions {
  ServerParams server;
  std::string listen = "127.0.0.1:8080";  // HOST:PORT, [IPV6]:PORT, PORT
  bool no_access_log = false;
  bool json = false;
  double drain_s = 10;
};

// Adds the directory and all flags, with help and examples, in which the command is called
// `command`. `options` outlives the app's parsing.
void add_serve_options(CLI::App& app, const std::string& command, ServeOptions& options);

// Serves until SIGTERM or SIGINT, then drains; a second signal ends the process. Call it from the
// main thread, before others are started: it blocks the two signals for all threads made from then
// on, and raises the process's limit of open files. `announce` gets one line, {"port": N} or text
// for people, once connections are accepted.
manifests::Status serve_until_signal(const ServeOptions& options,
                                     const std::function<void(const std::string& line)>& announce);

// "HOST:PORT" into host and port.
manifests::Status parse_listen(const std::string& listen, ServerParams& params);

}  // namespace kvcast::origin
