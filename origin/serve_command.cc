#include "origin/serve_command.h"

#include <pthread.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <span>
#include <utility>

#include "manifests/digest.h"
#include "origin/process/thread.h"

namespace kvcast::origin {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

// A client waits: rather an error soon than an answer late.
constexpr unsigned kFetchAttempts = 3;
constexpr int kFetchStallMs = 5000;
constexpr size_t kCacheNameChars = 16;

void add_limits(CLI::App& app, ServerLimits& limits) {
  const std::string group = "Limits";
  const auto add = [&](const char* flag, auto& value, const char* what) {
    app.add_option(flag, value, what)->capture_default_str()->group(group);
  };
  add("--max-connections", limits.max_connections,
      "Connections at one time; beyond: 503 with Retry-After");
  add("--max-requests", limits.max_requests_per_connection, "Requests on one connection");
  add("--max-object-bytes", limits.max_object_bytes, "Of an upload; beyond: 413");
  add("--max-uploads", limits.max_uploads, "Uploads at one time; beyond: 503 with Retry-After");
  add("--max-header-bytes", limits.max_header_bytes, "Request line and fields; beyond: 431");
  add("--header-timeout-ms", limits.header_timeout_ms,
      "From a request's first byte to its header's end");
  add("--handshake-timeout-ms", limits.handshake_timeout_ms, "A TLS handshake may take");
  add("--idle-timeout-ms", limits.idle_timeout_ms, "Between the requests of a connection");
  add("--response-grace-ms", limits.response_grace_ms,
      "A response may take this long, plus its bytes at the minimum rate");
  add("--min-rate", limits.min_rate_bytes_per_s, "Minimum rate of a client, bytes/s");
}

void add_store_options(CLI::App& app, ServeOptions& options) {
  const std::string group = "Store behind (DIR is s3:// or http(s)://)";
  ServerParams& server = options.server;
  app.add_option(
         "--cache", options.cache,
         "Folder of the cache; default: one below $XDG_CACHE_HOME/kvcast or ~/.cache/kvcast")
      ->group(group);
  app.add_option("--cache-bytes", server.cache_bytes,
                 "Its size, such as 200G; what was not used for longest goes first")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str()
      ->group(group);
  app.add_option("--cache-fresh", server.cache_fresh_s,
                 "Seconds that manifests and prefix entries are served without asking the store")
      ->capture_default_str()
      ->group(group);
  app.add_option("--cache-stale", server.cache_stale_s,
                 "Seconds after that in which they are served while the store is asked")
      ->capture_default_str()
      ->group(group);
  app.add_option("--fetch-threads", server.fetch_threads, "Fetches from the store at one time")
      ->capture_default_str()
      ->group(group);
  app.add_option("--fetch-wait-ms", server.limits.fetch_wait_ms,
                 "A client waits at most this long for the store; then 504")
      ->capture_default_str()
      ->group(group);
  app.add_option("--endpoint", options.store.endpoint,
                 "S3 endpoint, http(s)://HOST[:PORT]; default: AWS_ENDPOINT_URL, else Amazon's")
      ->group(group);
  app.add_option("--region", options.store.region, "S3 region; default: AWS_REGION, us-east-1")
      ->group(group);
  app.add_flag("--virtual-host", options.store.virtual_host,
               "The bucket's name in the host, not in the path")
      ->group(group);
  app.add_option("--bearer-file", options.store.bearer_file,
                 "File with the bearer token for an origin behind (or KVCAST_BEARER_TOKEN)")
      ->group(group);
  app.add_option("--cacert", options.store.ca_file,
                 "PEM file of certificates to trust there instead of the system's")
      ->group(group);
}

// A folder that no other store's cache has.
std::string default_cache(const ServeOptions& options) {
  const char* base = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string below = base != nullptr && *base != 0 ? base
                            : home != nullptr             ? std::string(home) + "/.cache"
                                                          : "/var/cache";
  const std::string what = options.server.root + " " + options.store.endpoint;
  return below + "/kvcast/serve-" +
         manifests::sha256(std::as_bytes(std::span(what))).hex().substr(0, kCacheNameChars);
}

// Where DIR is a remote store: that one, with the keys it has now; else null.
Result<std::shared_ptr<manifests::Store>> store_behind(const ServeOptions& options) {
  if (!manifests::is_remote_store(options.server.root)) return std::shared_ptr<manifests::Store>();
  manifests::StoreOptions behind = options.store;
  behind.attempts = kFetchAttempts;
  behind.stall_limit_ms = kFetchStallMs;
  auto store = manifests::open_store(options.server.root, behind);
  if (!store.ok()) return store.error();
  return std::shared_ptr<manifests::Store>(std::move(*store));
}

// Of a remote store the folder of its cache is the root.
Status open_behind(const ServeOptions& options, ServerParams& params) {
  auto store = store_behind(options);
  if (!store.ok()) return store.error();
  if (!*store) return {};
  params.store = std::move(*store);
  params.root = options.cache.empty() ? default_cache(options) : options.cache;
  params.notice = options.notice;
  return {};
}

Status reload(const ServeOptions& options, Server& server) {
  auto store = store_behind(options);
  if (!store.ok()) return store.error();
  return server.reload(std::move(*store));
}

// CLI11 itself reads such files for a whole program only, not for a subcommand. What was given on
// the command line before is left alone; what comes after replaces the file's, since the last one
// counts.
void take_config(CLI::App& app, const std::string& path) {
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(path)) {
    CLI::Option* option = app.get_option_no_throw("--" + item.name);
    if (option == nullptr) option = app.get_option_no_throw(item.name);
    if (option == nullptr || !item.parents.empty() || option->check_lname("config") ||
        option->check_lname("help")) {
      throw CLI::ValidationError(path, item.fullname() + " is not one of the flags");
    }
    if (option->count() > 0) continue;
    if (option->get_items_expected_max() == 1) option->take_last();
    option->add_result(item.inputs);
  }
}

// "access-log" as KVCAST_SERVE_ACCESS_LOG.
std::string environment_name(std::string flag) {
  for (char& c : flag) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == '-' || c == '.') c = '_';
  }
  return "KVCAST_SERVE_" + flag;
}

}  // namespace

void add_serve_options(CLI::App& app, const std::string& command, ServeOptions& options) {
  ServerParams& server = options.server;
  app.add_option(
         "DIR", server.root,
         "Directory to serve, any files will do; or s3://BUCKET/PREFIX or http(s)://ORIGIN, "
         "through a cache on the local disk")
      ->required();
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
  app.add_option("--operator-listen", options.operator_listen,
                 "HOST:PORT for /metrics, /healthz and /readyz alone; default: --listen's, without "
                 "/metrics if there are token keys");
  app.add_option("--token-keys", server.token_keys_path,
                 "File of token keys (or KVCAST_TOKEN_KEYS, the keys themselves): serve only "
                 "tenants' roots, each to holders of its token; SIGHUP reads it again")
      ->group("Access");
  app.add_option("--open-tenant", server.open_tenants, "A tenant that needs no token; repeatable")
      ->group("Access");
  app.add_option(
         "--ingest", options.ingest,
         "Who may put and remove objects, manifests and prefix entries: off; token: holders "
         "of a token with right w; open: anyone who reaches the port")
      ->capture_default_str()
      ->check(CLI::IsMember({"off", "token", "open"}))
      ->group("Ingest");
  app.add_option(
         "--quota", server.quotas,
         "TENANT=BYTES or TENANT=BYTES,FILES that ingest may fill, such as acme=200G; tenant "
         "*: all others; repeatable")
      ->group("Ingest");
  app.add_option(
         "--tls-certificate", server.tls.certificate_path,
         "PEM file: serve TLS 1.3 with this certificate (and its issuers'); SIGHUP reads it "
         "again")
      ->group("TLS");
  app.add_option("--tls-key", server.tls.key_path, "PEM file: the certificate's key")->group("TLS");
  app.add_flag("--tls-1.2", server.tls.allow_tls12, "Allow TLS 1.2 too")->group("TLS");
  add_store_options(app, options);
  add_limits(app, server.limits);
  app.add_option_function<std::string>(
         "--config", [&app](const std::string& path) { take_config(app, path); },
         "File of flags, lines `flag = value`, without their dashes; flags given here win")
      ->trigger_on_parse();
  for (CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty() || option->check_lname("config")) continue;
    option->envname(environment_name(option->get_lnames()[0]));
  }
  const std::string call = "  " + command;
  app.footer(
      "Examples:\n" + call + " store\n" + call +
      " store --listen 0.0.0.0:80 --access-log access.jsonl\n" + call +
      " store --listen 127.0.0.1:0 --json --pace 40      a 40 Mbit/s link\n" + call +
      " store --pace trace.txt --pace-scale 10           a recorded link, ten times as "
      "fast\n" +
      call + " store --tls-certificate cert.pem --tls-key key.pem --token-keys keys.txt\n" + call +
      " store --token-keys keys.txt --ingest token --quota '*=50G'\n" + call +
      " s3://contexts/prod --cache /var/cache/kvcast --cache-bytes 200G\n"
      "Keys of S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or AWS_PROFILE of\n"
      "~/.aws/credentials.\n"
      "Flags win over the file of --config (lines `flag = value`), that over the environment\n"
      "(KVCAST_SERVE_ACCESS_LOG for --access-log). SIGHUP reads certificate and keys again,\n"
      "those of S3 too.\n"
      "Exit codes: 0 done, 2 usage, 3 input/output or network, 4 a trace that makes no sense.");
}

Status parse_listen(const std::string& listen, std::string& to_host, uint16_t& to_port) {
  const size_t colon = listen.rfind(':');
  std::string host = colon == std::string::npos ? to_host : listen.substr(0, colon);
  const std::string port = colon == std::string::npos ? listen : listen.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    host.clear();  // an IPv6 address without brackets: which colon is the port's?
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), to_port);
  if (host.empty() || port.empty() || error != std::errc{} || end != port.data() + port.size()) {
    return Error{ErrorKind::kUsage,
                 listen + ": want HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080"};
  }
  to_host = host;
  return {};
}

Status serve_until_signal(const ServeOptions& options,
                          const std::function<void(const std::string& line)>& announce) {
  ServerParams params = options.server;
  params.access_log = !options.no_access_log;
  if (Status status = parse_listen(options.listen, params.host, params.port); !status.ok()) {
    return status;
  }
  params.ingest = options.ingest == "token"  ? ServerParams::Ingest::kByToken
                  : options.ingest == "open" ? ServerParams::Ingest::kAnyone
                                             : ServerParams::Ingest::kNobody;
  if (!options.operator_listen.empty()) {
    params.operator_host = "127.0.0.1";
    const Status status =
        parse_listen(options.operator_listen, params.operator_host, params.operator_port);
    if (!status.ok()) return status;
  }
  if (const char* keys = std::getenv("KVCAST_TOKEN_KEYS")) params.token_keys = keys;

  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  raise_open_file_limit();
  if (Status status = open_behind(options, params); !status.ok()) return status;
  Result<std::unique_ptr<Server>> server = Server::start(params);
  if (!server.ok()) return server.error();
  const std::string port = std::to_string((*server)->port());
  const std::string operator_port =
      params.operator_host.empty()
          ? ""
          : ", \"operator_port\": " + std::to_string((*server)->operator_port());
  announce(options.json
               ? "{\"port\": " + port + operator_port + "}"
               : "serving " + options.server.root + " on " + params.host + " port " + port);
  const auto notice = [&](const std::string& line) {
    if (options.notice) options.notice(line);
  };
  if (!params.tls.certificate_path.empty()) {
    notice(kernel_offers_tls() ? "TLS: the kernel encrypts (kTLS)"
                               : "TLS: in user space, this kernel offers none");
  }
  for (int signal = SIGHUP; signal == SIGHUP;) {
    sigwait(&stops, &signal);
    if (signal != SIGHUP) break;
    const Status reloaded = reload(options, **server);
    notice(reloaded.ok() ? "reloaded"
                         : "not reloaded, going on as before: " + reloaded.error().message);
  }
  pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
  (*server)->stop(std::chrono::milliseconds(static_cast<int64_t>(options.drain_s * 1000)));
  return {};
}

}  // namespace kvcast::origin
