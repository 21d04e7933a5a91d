// What `kvcast serve` and `kvcast-origin` share: their flags, and serving until a signal.
#pragma once

#include <functional>
#include <string>

#include "manifests/open_store.h"
#include "manifests/result.h"
#include "origin/server.h"

namespace CLI {
class App;
}

namespace kvcast::origin {

struct ServeOptions {
  ServerParams server;
  std::string listen = "127.0.0.1:8080";  // HOST:PORT, [IPV6]:PORT, PORT
  std::string operator_listen;            // the same; empty: none of its own
  manifests::StoreOptions store;          // where DIR is a remote store
  std::string cache;                      // of it; empty: a folder of the user's own
  std::string ingest = "off";             // "off", "token", "open"
  bool no_access_log = false;
  bool json = false;
  double drain_s = 10;
  // What an operator should know while it serves (a certificate reloaded, or not), one line each;
  // empty: nobody is told.
  std::function<void(const std::string& line)> notice;
};

// Adds the directory and all flags, with help and examples, in which the command is called
// `command`. `options` outlives the app's parsing.
void add_serve_options(CLI::App& app, const std::string& command, ServeOptions& options);

// Serves until SIGTERM or SIGINT, then drains; a second signal ends the process. SIGHUP reads
// certificate, key and token keys again, and the keys of the store behind. Call it from the
// main thread, before others are started: it blocks these signals for all threads made from then
// on, and raises the process's limit of open files. `announce` gets one line, {"port": N} or text
// for people, once connections are accepted.
manifests::Status serve_until_signal(const ServeOptions& options,
                                     const std::function<void(const std::string& line)>& announce);

// "HOST:PORT" into host and port; "PORT" leaves the host as it is.
manifests::Status parse_listen(const std::string& listen, std::string& host, uint16_t& port);

}  // namespace kvcast::origin
