// What all threads of one server share.
#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "origin/files/file_cache.h"
#include "origin/files/root.h"
#include "origin/http/request_parser.h"
#include "origin/http/router.h"
#include "origin/ingest/ingest.h"
#include "origin/log/access_log.h"
#include "origin/log/metrics.h"
#include "origin/net/slot.h"
#include "origin/pace/token_bucket.h"
#include "origin/server.h"
#include "origin/through/read_through.h"
#include "origin/tls/context.h"
#include "origin/token.h"

namespace kvcast::origin {

struct Shared {
  ServerLimits limits;
  HeadLimits head_limits;
  RoutePolicy policy;
  Root root;
  FileCacheParams file_cache;
  std::unique_ptr<TokenBucket> bucket;    // null: no pacing
  size_t send_buffer_bytes = 0;           // SO_SNDBUF; 0: the kernel's choice
  std::unique_ptr<AccessLog> access_log;  // null: none
  Slot<const TlsContext> tls;             // null: plain HTTP
  Slot<const TokenKeys> token_keys;       // null: everything is open
  std::vector<std::string> open_tenants;
  std::unique_ptr<Ingest> ingest = nullptr;                          // null: nothing may be put
  std::unique_ptr<boost::asio::thread_pool> disk_threads = nullptr;  // which wait for it
  std::vector<const Metrics*> metrics = {};        // of all threads, which outlive their sessions
  std::unique_ptr<ReadThrough> through = nullptr;  // null: what is in the root is all there is
  std::atomic<size_t> connections{0};
  std::atomic<size_t> lookups{0};
  std::atomic<bool> draining{false};
};

// One of max_connections, given back at the end, or none.
class ConnectionSlot {
 public:
  explicit ConnectionSlot(Shared& shared) : connections_(&shared.connections) {
    if (connections_->fetch_add(1) < shared.limits.max_connections) return;
    connections_->fetch_sub(1);
    connections_ = nullptr;
  }
  ~ConnectionSlot() {
    if (connections_ != nullptr) connections_->fetch_sub(1);
  }
  ConnectionSlot(ConnectionSlot&& other) noexcept
      : connections_(std::exchange(other.connections_, nullptr)) {}
  ConnectionSlot& operator=(ConnectionSlot&&) = delete;
  bool is_held() const { return connections_ != nullptr; }

 private:
  std::atomic<size_t>* connections_;
};

}  // namespace kvcast::origin
