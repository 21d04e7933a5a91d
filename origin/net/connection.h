// One TCP connection: reads, paced sends and sendfile under one deadline. Used by its thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "origin/http/response.h"
#include "origin/net/asio.h"
#include "origin/pace/token_bucket.h"
#include "origin/tls/channel.h"

namespace kvcast::origin {

class Connection {
 public:
  using Clock = PaceClock;

  // `bucket` may be null; else it outlives the connection. `send_buffer_bytes` 0 leaves the
  // kernel's.
  Connection(tcp::socket socket, TokenBucket* bucket, size_t send_buffer_bytes);

  // From now on all bytes are TLS's; first comes shake_hands(). `scratch` outlives the connection.
  void begin_tls(std::shared_ptr<const TlsContext> context, TlsScratch& scratch);
  // False if the peer did not agree before the deadline.
  asio::awaitable<bool> shake_hands();
  bool is_tls() const { return tls_ != nullptr; }

  // Until when the calls below may wait; time spent waiting for the bucket is added. Revives an
  // expired connection.
  void set_deadline(Clock::time_point deadline);
  Clock::time_point deadline() const { return deadline_; }
  bool is_expired() const { return expired_; }
  bool is_aborted() const { return aborted_; }
  // For the thread's ticker: past the deadline, waits end and calls fail.
  void tick(Clock::time_point now);
  // Ends all waits; every later call fails.
  void abort();

  // At least one byte, or 0 at the end, on error, or after the deadline.
  asio::awaitable<size_t> read_some(std::span<char> to);

  // What follows is a response; `paced` says whether it draws from the bucket.
  void begin_response(bool paced);
  // What the kernel takes at once of it, without waiting; 0 for a paced response.
  size_t send_now(std::string_view bytes, bool more);
  // Whether what was sent has left this process; else co_await flush().
  bool is_flushed() const { return !tls_ || !tls_->has_unsent(); }
  asio::awaitable<bool> flush();
  // All of it, or false. `more`: the kernel may hold the last packet back for what follows.
  asio::awaitable<bool> send(std::string_view bytes, bool more);
  // Bytes [first, first + bytes) of the file, or false: also if it ends before.
  asio::awaitable<bool> send_file(int file, uint64_t first, uint64_t bytes);
  uint64_t sent_bytes() const { return sent_bytes_; }  // of this response
  std::optional<Clock::time_point> first_sent_at() const { return first_sent_at_; }

  // As the kernel sees it now (TCP_INFO).
  LinkEstimate link_estimate();

  // Says that nothing more is coming, and waits shortly for the peer to say so too: closing with
  // bytes unread would reset the connection and could destroy a response under way.
  asio::awaitable<void> linger();

  // "127.0.0.1:40312"
  const std::string& peer() const { return peer_; }

 private:
  template <typename Attempt>
  asio::awaitable<bool> send_by(uint64_t bytes, Attempt attempt);
  asio::awaitable<bool> wait_for_socket();  // until what was just tried may go on
  asio::awaitable<bool> wait_until(tcp::socket::wait_type what);
  asio::awaitable<size_t> next_grant(size_t wanted);
  asio::awaitable<void> sleep_until(Clock::time_point when);
  bool is_over() const { return expired_ || aborted_; }
  bool is_peer_gone();

  tcp::socket socket_;
  asio::steady_timer timer_;
  std::unique_ptr<TlsChannel> tls_;  // null: plain
  TokenBucket* const bucket_;
  std::string peer_;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool expired_ = false, aborted_ = false;

  bool paced_ = false;
  Clock::time_point ready_;  // since when the sender has been waiting for its next grant
  uint64_t sent_bytes_ = 0;
  std::optional<Clock::time_point> first_sent_at_;
};

}  // namespace kvcast::origin
