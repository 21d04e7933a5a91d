#include "origin/net/connection.h"

#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "origin/net/link_estimate.h"

namespace kvcast::origin {
namespace {

using std::chrono::milliseconds;

// After this much, others of the thread get their turn.
constexpr size_t kMaxBytesPerTurn = 1u << 20;
// How much lateness a paced sender makes up for. A busy machine must not slow the link down: the
// bytes would have been under way by themselves. Beyond, a sender that was stopped would send a
// burst.
constexpr milliseconds kMaxCatchUp{200};
// How often a sender in an outage looks whether its peer is still there. A peer that has closed its
// half counts as gone: it could not be told apart, and an outage may last for ever.
constexpr milliseconds kPeerCheckInterval{1000};
constexpr milliseconds kLingerTime{1000};
constexpr size_t kMaxLingerBytes = 1u << 20;

std::string describe_peer(const tcp::socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "unknown";
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? '[' + address + ']' : address) + ':' +
         std::to_string(endpoint.port());
}

}  // namespace

Connection::Connection(tcp::socket socket, TokenBucket* bucket, size_t send_buffer_bytes)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      bucket_(bucket),
      peer_(describe_peer(socket_)) {
  boost::system::error_code ignored;  // a peer that is gone already shows at the first read
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  if (send_buffer_bytes > 0) {
    socket_.set_option(tcp::socket::send_buffer_size(static_cast<int>(send_buffer_bytes)), ignored);
  }
}

void Connection::set_deadline(Clock::time_point deadline) {
  deadline_ = deadline;
  expired_ = false;
}

void Connection::tick(Clock::time_point now) {
  if (now < deadline_) return;
  expired_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Connection::abort() {
  aborted_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  timer_.cancel();
}

asio::awaitable<size_t> Connection::read_some(std::span<char> to) {
  if (is_over()) co_return 0;
  if (tls_) {
    if (!tls_->has_input()) {  // asking OpenSSL in vain costs more than the wait itself
      const bool is_ready = co_await wait_until(tcp::socket::wait_read);
      if (!is_ready) co_return 0;
    }
    while (true) {
      const ssize_t got = tls_->read(to);
      if (got >= 0 || errno != EAGAIN) co_return static_cast<size_t>(std::max<ssize_t>(got, 0));
      const bool is_ready = co_await wait_for_socket();
      if (!is_ready) co_return 0;
    }
  }
  const auto [error, got] =
      co_await socket_.async_read_some(asio::buffer(to.data(), to.size()), kNoThrow);
  co_return error ? 0 : got;
}

asio::awaitable<bool> Connection::wait_for_socket() {
  return wait_until(!tls_ || tls_->waits_to_write() ? tcp::socket::wait_write
                                                    : tcp::socket::wait_read);
}

asio::awaitable<bool> Connection::wait_until(tcp::socket::wait_type what) {
  if (is_over()) co_return false;
  const auto [error] = co_await socket_.async_wait(what, kNoThrow);
  co_return !error && !is_over();
}

void Connection::begin_tls(std::shared_ptr<const TlsContext> context, TlsScratch& scratch) {
  tls_ = std::make_unique<TlsChannel>(std::move(context), socket_.native_handle(), scratch);
}

asio::awaitable<bool> Connection::shake_hands() {
  while (tls_->handshake() <= 0) {
    if (errno != EAGAIN) co_return false;
    const bool is_ready = co_await wait_for_socket();
    if (!is_ready) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> Connection::flush() {
  while (tls_ && tls_->flush() <= 0) {
    if (errno != EAGAIN) co_return false;
    const bool is_ready = co_await wait_for_socket();
    if (!is_ready) co_return false;
  }
  co_return true;
}

void Connection::begin_response(bool paced) {
  paced_ = paced && bucket_ != nullptr;
  sent_bytes_ = 0;
  first_sent_at_.reset();
  if (paced_) ready_ = Clock::now();
}

// `attempt(n)` hands up to n bytes to the kernel and answers as send(2) does; 0 means that there
// are no more.
template <typename Attempt>
asio::awaitable<bool> Connection::send_by(uint64_t bytes, Attempt attempt) {
  while (bytes > 0) {
    size_t granted = static_cast<size_t>(std::min<uint64_t>(bytes, kMaxBytesPerTurn));
    if (paced_) granted = co_await next_grant(granted);
    bytes -= granted;
    while (granted > 0 && !is_over()) {
      const ssize_t put = attempt(granted);
      if (put > 0) {
        granted -= static_cast<size_t>(put);
        sent_bytes_ += static_cast<uint64_t>(put);
        if (!first_sent_at_) first_sent_at_ = Clock::now();
        if (granted == 0 || tls_) continue;
        // The socket took less than it was offered, so it is full: asking again only to be told so
        // would cost a call.
        const bool is_ready = co_await wait_for_socket();
        if (!is_ready) co_return false;
        if (paced_) ready_ = Clock::now();
      } else if (put == 0 || (errno != EAGAIN && errno != EINTR)) {
        co_return false;
      } else if (errno == EAGAIN) {
        const bool is_ready = co_await wait_for_socket();
        if (!is_ready) co_return false;
        if (paced_) ready_ = Clock::now();
      }
    }
    if (is_over()) co_return false;
    if (bytes > 0 && !paced_) co_await asio::post(asio::use_awaitable);
  }
  co_return true;
}

size_t Connection::send_now(std::string_view bytes, bool more) {
  if (paced_ || is_over()) return 0;
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
  const ssize_t put = tls_ ? tls_->write(bytes)
                           : ::send(socket_.native_handle(), bytes.data(), bytes.size(), flags);
  if (put <= 0) return 0;
  sent_bytes_ += static_cast<uint64_t>(put);
  first_sent_at_ = Clock::now();
  return static_cast<size_t>(put);
}

asio::awaitable<bool> Connection::send(std::string_view bytes, bool more) {
  // Paced, each quantum leaves when it is due, so nothing is held back.
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more && !paced_ ? MSG_MORE : 0);
  co_return co_await send_by(bytes.size(), [this, &bytes, flags](size_t count) {
    const ssize_t put = tls_ ? tls_->write(bytes.substr(0, count))
                             : ::send(socket_.native_handle(), bytes.data(), count, flags);
    if (put > 0) bytes.remove_prefix(static_cast<size_t>(put));
    return put;
  });
}

asio::awaitable<bool> Connection::send_file(int file, uint64_t first, uint64_t bytes) {
  off_t offset = static_cast<off_t>(first);
  co_return co_await send_by(bytes, [this, file, &offset](size_t count) {
    if (tls_) return tls_->send_file(file, offset, count);
    return ::sendfile(socket_.native_handle(), file, &offset, count);
  });
}

// 0 if the connection is over or its peer has gone while waiting.
asio::awaitable<size_t> Connection::next_grant(size_t wanted) {
  const Clock::time_point now = Clock::now();
  ready_ = std::max(ready_, now - kMaxCatchUp);
  const Grant grant = bucket_->reserve(wanted, ready_);
  ready_ = grant.when;
  if (grant.when > now) {
    const Clock::time_point deadline = std::exchange(deadline_, Clock::time_point::max());
    co_await sleep_until(grant.when);
    deadline_ = deadline + (Clock::now() - now);
  }
  co_return is_over() ? 0 : grant.bytes;
}

asio::awaitable<void> Connection::sleep_until(Clock::time_point when) {
  while (!is_over() && Clock::now() < when) {
    timer_.expires_at(std::min(when, Clock::now() + kPeerCheckInterval));
    co_await timer_.async_wait(kNoThrow);
    if (Clock::now() < when && is_peer_gone()) aborted_ = true;
  }
}

bool Connection::is_peer_gone() {
  pollfd peer{socket_.native_handle(), POLLRDHUP, 0};
  return ::poll(&peer, 1, 0) > 0;
}

LinkEstimate Connection::link_estimate() {
  LinkEstimate link = estimate_link(socket_.native_handle());
  if (bucket_ != nullptr) link.delivery_bytes_per_s = 0;  // the socket's, not the paced link's
  return link;
}

asio::awaitable<void> Connection::linger() {
  boost::system::error_code error;
  if (tls_) tls_->say_goodbye();
  socket_.shutdown(tcp::socket::shutdown_send, error);
  if (error) co_return;
  set_deadline(Clock::now() + kLingerTime);
  std::array<char, 4096> unread;
  for (size_t total = 0; total < kMaxLingerBytes;) {
    const size_t got = co_await read_some(unread);
    if (got == 0) break;
    total += got;
  }
}

}  // namespace kvcast::origin
