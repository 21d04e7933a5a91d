#include "origin/serve_command.h"

#include <pthread.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>

#include "origin/process/thread.h"

namespace kvcast::origin {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

void add_limits(CLI::App& app, ServerLimits& limits) {
  const std::string group = "Limits";
  const auto add = [&](const char* flag, auto& value, const char* what) {
    app.add_option(flag, value, what)->capture_default_str()->group(group);
  };
  add("--max-connections", limits.max_connections,
      "Connections at one time; beyond: 503 with Retry-After");
  add("--max-requests", limits.max_requests_per_connection, "Requests on one connection");
  add("--max-header-bytes", limits.max_header_bytes, "Request line and fields; beyond: 431");
  add("--header-timeout-ms", limits.header_timeout_ms,
      "From a request's first byte to its header's end");
  add("--idle-timeout-ms", limits.idle_timeout_ms, "Between the requests of a connection");
  add("--response-grace-ms", limits.response_grace_ms,
      "A response may take this long, plus its bytes at the minimum rate");
  add("--min-rate", limits.min_rate_bytes_per_s, "Minimum rate of a client, bytes/s");
}

}  // namespace

void add_serve_options(CLI::App& app, const std::string& command, ServeOptions& options) {
  ServerParams& server = options.server;
  app.add_option("DIR", server.root, "Directory to serve; any files will do")->required();
  app.add_option("--listen", options.listen, "HOST:PORT; port 0 picks a free one")
      ->capture_default_str();
  app.add_option("--threads", server.threads, "Threads; 0: one per core")->capture_default_str();
  app.add_option("--pace", server.pace,
                 "One link for all connections: Mbit/s (40, 40mbit), or a trace file with lines "
                 "`seconds Mbit/s`");
  app.add_option("--pace-scale", server.pace_scale, "Multiplies the rates of --pace")
      ->capture_default_str();
  app.add_option("--cached-files", server.cached_files, "Files each thread keeps open")
      ->capture_default_str();
  app.add_option("--access-log", server.access_log_path,
                 "File the access log is appended to; default: stderr");
  app.add_flag("--no-access-log", options.no_access_log, "Log no requests");
  app.add_option("--drain", options.drain_s,
                 "Seconds that responses in flight may take after SIGTERM or SIGINT")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0));
  app.add_flag("--json", options.json,
               "First line on stdout: {\"port\": N}, once connections are accepted");
  add_limits(app, server.limits);
  const std::string call = "  " + command;
  app.footer(
      "Examples:\n" + call + " store\n" + call +
      " store --listen 0.0.0.0:80 --access-log access.jsonl\n" + call +
      " store --listen 127.0.0.1:0 --json --pace 40      a 40 Mbit/s link\n" + call +
      " store --pace trace.txt --pace-scale 10           a recorded link, ten times as fast\n"
      "Exit codes: 0 done, 2 usage, 3 input/output or network, 4 a trace that makes no sense.");
}

Status parse_listen(const std::string& listen, ServerParams& params) {
  const size_t colon = listen.rfind(':');
  std::string host = colon == std::string::npos ? params.host : listen.substr(0, colon);
  const std::string port = colon == std::string::npos ? listen : listen.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    host.clear();  // an IPv6 address without brackets: which colon is the port's?
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), params.port);
  if (host.empty() || port.empty() || error != std::errc{} || end != port.data() + port.size()) {
    return Error{ErrorKind::kUsage,
                 "--listen " + listen + ": want HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080"};
  }
  params.host = host;
  return {};
}

Status serve_until_signal(const ServeOptions& options,
                          const std::function<void(const std::string& line)>& announce) {
  ServerParams params = options.server;
  params.access_log = !options.no_access_log;
  if (Status status = parse_listen(options.listen, params); !status.ok()) return status;

  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  raise_open_file_limit();
  Result<std::unique_ptr<Server>> server = Server::start(params);
  if (!server.ok()) return server.error();
  const std::string port = std::to_string((*server)->port());
  announce(options.json ? "{\"port\": " + port + "}"
                        : "serving " + params.root + " on " + params.host + " port " + port);
  int signal = 0;
  sigwait(&stops, &signal);
  pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
  (*server)->stop(std::chrono::milliseconds(static_cast<int64_t>(options.drain_s * 1000)));
  return {};
}

}  // namespace kvcast::origin
