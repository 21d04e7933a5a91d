#include "origin/server.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "origin/net/shared.h"
#include "origin/net/worker.h"
#include "origin/process/thread.h"

namespace kvcast::origin {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

// Enough that acknowledgements held back for 40 ms never stop a sender at this rate, little enough
// that a peer that does not read cannot hide a burst in it.
constexpr size_t kPacedSendBufferBytes = 256u << 10;
// They wait for the disk more than they work.
constexpr size_t kDiskThreads = 4;

Status check(const ServerParams& params) {
  const ServerLimits& limits = params.limits;
  const std::pair<const char*, bool> demands[] = {
      {"threads: at most 1024", params.threads <= 1024},
      {"pace_scale: within 0 and 1e6", params.pace_scale >= 0 && params.pace_scale <= 1e6},
      {"max_connections: at least 1", limits.max_connections >= 1},
      {"max_requests_per_connection: at least 1", limits.max_requests_per_connection >= 1},
      {"max_header_bytes: within 256 and 1 MiB",
       limits.max_header_bytes >= 256 && limits.max_header_bytes <= 1u << 20},
      {"max_target_bytes: at least 16", limits.max_target_bytes >= 16},
      {"header_timeout_ms: at least 1", limits.header_timeout_ms >= 1},
      {"handshake_timeout_ms: at least 1", limits.handshake_timeout_ms >= 1},
      {"idle_timeout_ms: at least 1", limits.idle_timeout_ms >= 1},
      {"response_grace_ms: at least 1", limits.response_grace_ms >= 1},
      {"min_rate_bytes_per_s: at least 1", limits.min_rate_bytes_per_s >= 1},
      {"fetch_wait_ms: at least 1", limits.fetch_wait_ms >= 1},
      {"cache_bytes: at least 1 MiB", params.cache_bytes >= 1u << 20},
      {"cache_fresh_s: within 0 and 1e6",
       params.cache_fresh_s >= 0 && params.cache_fresh_s <= 1'000'000},
      {"cache_stale_s: within 0 and 1e6",
       params.cache_stale_s >= 0 && params.cache_stale_s <= 1'000'000},
      {"fetch_threads: within 1 and 256", params.fetch_threads >= 1 && params.fetch_threads <= 256},
  };
  for (const auto& [demand, is_met] : demands) {
    if (!is_met) return Error{ErrorKind::kUsage, std::string("origin parameter ") + demand};
  }
  return {};
}

Result<tcp::endpoint> resolve(const std::string& host, uint16_t port) {
  asio::io_context io;
  tcp::resolver resolver(io);
  boost::system::error_code error;
  const auto found = resolver.resolve(
      host, std::to_string(port), tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    return Error{ErrorKind::kIo, "cannot listen on " + host + ": " + error.message()};
  }
  return found.begin()->endpoint();
}

// Workers share the port, so a second server of the same user would silently take half of its
// connections. This tells it that somebody listens already.
Status check_port_is_free(const tcp::endpoint& address) {
  if (address.port() == 0) return {};
  asio::io_context io;
  tcp::acceptor probe(io);
  boost::system::error_code error;
  probe.open(address.protocol(), error);
  if (!error) probe.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) probe.bind(address, error);
  if (!error) return {};
  return Error{ErrorKind::kIo, "cannot listen on " + address.address().to_string() + " port " +
                                   std::to_string(address.port()) + ": " + error.message()};
}

}  // namespace

struct Server::Parts {
  Shared shared;
  const ServerParams params;
  std::vector<std::unique_ptr<Worker>> workers;
  uint16_t port = 0, operator_port = 0;
  bool stopped = false;

  // Of a start that ran out of memory too, when workers are at work already: they end for it only.
  ~Parts() { shared.draining = true; }
};

namespace {

Result<std::unique_ptr<TokenBucket>> make_bucket(const ServerParams& params) {
  if (params.pace.empty()) return std::unique_ptr<TokenBucket>();
  Result<Trace> trace = Trace::from_spec(params.pace);
  if (!trace.ok()) return trace.error();
  return std::make_unique<TokenBucket>(trace->scaled(params.pace_scale));
}

Result<std::unique_ptr<AccessLog>> make_log(const ServerParams& params) {
  if (!params.access_log) return std::unique_ptr<AccessLog>();
  AccessLogParams log;
  log.path = params.access_log_path;
  return AccessLog::open(log);
}

Result<std::shared_ptr<const TlsContext>> make_tls(const TlsParams& params) {
  if (params.certificate_path.empty() != params.key_path.empty()) {
    return Error{ErrorKind::kUsage, "TLS needs both a certificate and its key"};
  }
  if (params.certificate_path.empty()) return std::shared_ptr<const TlsContext>();
  return TlsContext::load(params);
}

Result<std::shared_ptr<const TokenKeys>> make_keys(const ServerParams& params) {
  if (params.token_keys_path.empty() && params.token_keys.empty()) {
    return std::shared_ptr<const TokenKeys>();
  }
  if (!params.token_keys_path.empty() && !params.token_keys.empty()) {
    return Error{ErrorKind::kUsage, "token keys from a file and from the environment: which?"};
  }
  Result<TokenKeys> keys = params.token_keys_path.empty()
                               ? TokenKeys::parse(params.token_keys, "KVCAST_TOKEN_KEYS")
                               : TokenKeys::load(params.token_keys_path);
  if (!keys.ok()) return keys.error();
  return std::make_shared<const TokenKeys>(std::move(*keys));
}

Result<std::unique_ptr<ReadThrough>> make_through(const ServerParams& params) {
  if (!params.store) return std::unique_ptr<ReadThrough>();
  ReadThroughParams through;
  through.folder = params.root;
  through.max_bytes = params.cache_bytes;
  through.fresh_s = params.cache_fresh_s;
  through.stale_s = params.cache_stale_s;
  through.threads = params.fetch_threads;
  through.notice = params.notice;
  return ReadThrough::open(params.store, std::move(through));
}

Result<std::unique_ptr<Ingest>> make_ingest(const ServerParams& params, bool has_keys) {
  using Who = ServerParams::Ingest;
  if (params.ingest == Who::kNobody) return std::unique_ptr<Ingest>();
  if (params.store) {
    return Error{ErrorKind::kUsage,
                 "a cache of a remote store takes no uploads: publish to the store"};
  }
  if ((params.ingest == Who::kByToken) != has_keys) {
    return Error{ErrorKind::kUsage, has_keys ? "ingest open to anyone, and token keys: which?"
                                             : "ingest by token needs token keys"};
  }
  IngestParams ingest{params.root, {}, params.limits.max_uploads};
  for (const std::string& text : params.quotas) {
    Result<NamedQuota> quota = parse_quota(text);
    if (!quota.ok()) return quota.error();
    ingest.quotas.push_back(std::move(*quota));
  }
  return std::make_unique<Ingest>(ingest);
}

}  // namespace

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() {
  stop(std::chrono::milliseconds(0));
}

Result<std::unique_ptr<Server>> Server::start(const ServerParams& params) {
  if (Status status = check(params); !status.ok()) return status.error();
  Result<std::unique_ptr<ReadThrough>> through = make_through(params);
  if (!through.ok()) return through.error();
  Result<Root> root = Root::open_directory(params.root);
  if (!root.ok()) return root.error();
  Result<std::unique_ptr<TokenBucket>> bucket = make_bucket(params);
  if (!bucket.ok()) return bucket.error();
  Result<tcp::endpoint> address = resolve(params.host, params.port);
  if (!address.ok()) return address.error();
  if (Status status = check_port_is_free(*address); !status.ok()) return status.error();
  Result<std::unique_ptr<AccessLog>> log = make_log(params);
  if (!log.ok()) return log.error();
  Result<std::shared_ptr<const TlsContext>> tls = make_tls(params.tls);
  if (!tls.ok()) return tls.error();
  Result<std::shared_ptr<const TokenKeys>> keys = make_keys(params);
  if (!keys.ok()) return keys.error();

  Result<std::unique_ptr<Ingest>> ingest = make_ingest(params, *keys != nullptr);
  if (!ingest.ok()) return ingest.error();

  const ServerLimits& limits = params.limits;
  const size_t send_buffer_bytes = *bucket ? kPacedSendBufferBytes : 0;
  FileCacheParams file_cache;
  file_cache.max_files = params.cached_files;
  std::unique_ptr<Parts> parts(new Parts{
      Shared{limits, HeadLimits{limits.max_header_bytes, limits.max_target_bytes},
             RoutePolicy{limits.max_request_body_bytes, !*keys && params.operator_host.empty(),
                         *ingest != nullptr, limits.max_object_bytes},
             std::move(*root), file_cache, std::move(*bucket), send_buffer_bytes, std::move(*log),
             Slot(std::move(*tls)), Slot(std::move(*keys)), params.open_tenants,
             std::move(*ingest)},
      params,
      {}});
  parts->shared.through = std::move(*through);
  if (parts->shared.ingest) {
    const BlockedSignals blocked;
    parts->shared.disk_threads = std::make_unique<asio::thread_pool>(kDiskThreads);
  }
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < (params.threads > 0 ? params.threads : cores); ++i) {
    auto worker = std::make_unique<Worker>(parts->shared);
    Result<tcp::endpoint> bound = worker->listen(*address);
    if (!bound.ok()) return bound.error();
    address->port(bound->port());
    parts->workers.push_back(std::move(worker));
  }
  parts->port = address->port();
  for (const auto& worker : parts->workers) parts->shared.metrics.push_back(&worker->metrics());
  if (!params.operator_host.empty()) {
    Result<tcp::endpoint> wanted = resolve(params.operator_host, params.operator_port);
    if (!wanted.ok()) return wanted.error();
    if (Status status = check_port_is_free(*wanted); !status.ok()) return status.error();
    const Result<tcp::endpoint> bound = parts->workers.front()->listen_for_operators(*wanted);
    if (!bound.ok()) return bound.error();
    parts->operator_port = bound->port();
  }
  for (const auto& worker : parts->workers) worker->start();
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

uint16_t Server::port() const {
  return parts_->port;
}

Status Server::reload(std::shared_ptr<manifests::Store> store) {
  Result<std::shared_ptr<const TlsContext>> tls = make_tls(parts_->params.tls);
  if (!tls.ok()) return tls.error();
  Result<std::shared_ptr<const TokenKeys>> keys = make_keys(parts_->params);
  if (!keys.ok()) return keys.error();
  parts_->shared.tls.set(std::move(*tls));
  parts_->shared.token_keys.set(std::move(*keys));
  if (store && parts_->shared.through) parts_->shared.through->use(std::move(store));
  return {};
}

uint16_t Server::operator_port() const {
  return parts_->operator_port;
}

void Server::stop(std::chrono::milliseconds drain) {
  if (std::exchange(parts_->stopped, true)) return;
  const auto until = std::chrono::steady_clock::now() + drain;
  parts_->shared.draining = true;
  for (const auto& worker : parts_->workers) worker->drain();
  for (const auto& worker : parts_->workers) {
    if (!worker->has_ended_by(until)) break;
  }
  for (const auto& worker : parts_->workers) worker->abort();
  parts_->workers.clear();
}

}  // namespace kvcast::origin
