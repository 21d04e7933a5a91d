// An HTTP/1.1 origin for a directory of files (GET, HEAD, ranges, conditions), in this process.
//
// Threads: each of `threads` runs its own event loop and its own listening socket on the same port
// (SO_REUSEPORT); a connection stays on the thread that accepted it. The threads block all signals.
// What a rename put in place is what the next request gets.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "manifests/store.h"
#include "origin/tls_params.h"

namespace kvcast::origin {

struct ServerLimits {
  size_t max_connections = 4096;                  // of all threads; beyond: 503 with Retry-After
  uint32_t max_requests_per_connection = 10'000;  // then the connection is closed
  size_t max_header_bytes = 16384;                // request line and fields; beyond: 431
  size_t max_target_bytes = 4096;                 // beyond: 414
  uint64_t max_request_body_bytes = 65536;        // bodies are thrown away; beyond: 413
  uint64_t max_object_bytes = uint64_t{8} << 30;  // of an upload; beyond: 413
  size_t max_uploads = 64;                        // at one time; beyond: 503 with Retry-After
  int header_timeout_ms = 10'000;     // from a request's first byte to its header's end; then 408
  int handshake_timeout_ms = 10'000;  // TLS; then the connection is closed
  int idle_timeout_ms = 60'000;       // between requests
  int response_grace_ms = 30'000;     // a response may take this long, plus its bytes at
  int fetch_wait_ms = 30'000;         // for a store behind a read-through cache; then 504
  uint64_t min_rate_bytes_per_s = 4096;  // this rate; time spent in pacing does not count
};

struct ServerParams {
  std::string root;                // the directory
  std::string host = "127.0.0.1";  // name or address, IPv6 without brackets
  uint16_t port = 0;               // 0: one that is free
  unsigned threads = 0;            // 0: one per core
  std::string
      pace;  // empty: as fast as it goes; else Mbit/s ("40") or a trace file, see origin/trace.h
  double pace_scale = 1;  // times every rate of the trace
  bool access_log = true;
  std::string access_log_path;  // appended to; empty: stderr
  size_t cached_files = 512;    // kept open by each thread, see origin/files/file_cache.h
  TlsParams tls;
  // With token keys, only tenants' roots are served, each to holders of its tokens: see
  // origin/token_format.md. A file's path, or the keys themselves; at most one of them.
  std::string token_keys_path, token_keys;
  std::vector<std::string> open_tenants;  // need no token to be read
  // Who may put and remove: origin/ingest.md. kByToken needs token keys, kAnyone must have none.
  enum class Ingest { kNobody, kByToken, kAnyone } ingest = Ingest::kNobody;
  std::vector<std::string> quotas;  // "TENANT=BYTES[,FILES]", see origin/ingest.md
  // Where operators ask for /metrics, /healthz and /readyz over plain HTTP; empty: at the public
  // address too, but /metrics only where there are no token keys.
  std::string operator_host;
  uint16_t operator_port = 0;
  // With a store, the root is a read-through cache of it: see origin/through/read_through.h.
  std::shared_ptr<manifests::Store> store;
  uint64_t cache_bytes = uint64_t{10} << 30;
  int64_t cache_fresh_s = 5, cache_stale_s = 60;  // of manifests and prefix entries
  unsigned fetch_threads = 16;
  // What an operator should know, one line each; called by any thread. Empty: nobody is told.
  std::function<void(const std::string&)> notice;
  ServerLimits limits;
};

// start, port and stop are for one thread at a time, and not for the server's own.
class Server {
 public:
  // Returns once connections are accepted. Errors name the parameter, file or address.
  static manifests::Result<std::unique_ptr<Server>> start(const ServerParams& params);
  ~Server();  // stop(0)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  uint16_t operator_port() const;  // 0 if there is none

  // Reads certificate, its key and the token keys again, for connections and requests to come. On
  // an error the old ones stay. `store`: the one behind, opened again with the keys it has now, for
  // fetches to come; null: it stays.
  manifests::Status reload(std::shared_ptr<manifests::Store> store = nullptr);

  // Stops accepting and closes idle connections, lets responses in flight finish for up to `drain`,
  // then cuts them off. Returns when all threads have ended. Again: nothing happens.
  void stop(std::chrono::milliseconds drain);

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace kvcast::origin
