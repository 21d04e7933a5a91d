#include "origin/net/worker.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "origin/process/thread.h"

namespace kvcast::origin {
namespace {

using Clock = Connection::Clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{100};
// Out of descriptors or memory: accepting again at once would only spin.
constexpr milliseconds kAcceptPause{50};
// Connections beyond the limit that are told so at one time; the rest are closed without a word.
constexpr size_t kMaxRefusing = 64;

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

manifests::Error listen_error(const tcp::endpoint& address,
                              const boost::system::error_code& error) {
  return {manifests::ErrorKind::kIo, "cannot listen on " + address.address().to_string() +
                                         " port " + std::to_string(address.port()) + ": " +
                                         error.message()};
}

manifests::Result<tcp::endpoint> bind_and_listen(tcp::acceptor& acceptor,
                                                 const tcp::endpoint& address) {
  boost::system::error_code error;
  acceptor.open(address.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.set_option(ReusePort(true), error);
  if (!error) acceptor.bind(address, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (!error) acceptor.non_blocking(true, error);
  // Else an accept that finds its client gone waits for the next one, and the thread with it.
  if (!error) acceptor.set_option(tcp::acceptor::enable_connection_aborted(true), error);
  if (error) return listen_error(address, error);
  return acceptor.local_endpoint();
}

struct Refusing {
  explicit Refusing(size_t& count) : count_(count) { ++count_; }
  ~Refusing() { --count_; }
  Refusing(const Refusing&) = delete;
  size_t& count_;
};

}  // namespace

Worker::Worker(Shared& shared)
    : shared_(shared),
      local_{{}, FileCache(shared.root, shared.file_cache), {}, {}, {}},
      ended_future_(ended_.get_future()) {}

Worker::~Worker() {
  if (!thread_.joinable()) return;
  drain();
  abort();
  thread_.join();
}

manifests::Result<tcp::endpoint> Worker::listen(const tcp::endpoint& address) {
  return bind_and_listen(acceptor_, address);
}

manifests::Result<tcp::endpoint> Worker::listen_for_operators(const tcp::endpoint& address) {
  return bind_and_listen(operator_acceptor_, address);
}

void Worker::start() {
  using Audience = Session::Audience;
  asio::co_spawn(io_, accept_all(acceptor_, Audience::kPublic), asio::detached);
  if (operator_acceptor_.is_open()) {
    asio::co_spawn(io_, accept_all(operator_acceptor_, Audience::kOperator), asio::detached);
  }
  asio::co_spawn(io_, tick_all(), asio::detached);
  thread_ = start_thread_without_signals([this] {
    while (!io_.stopped()) {
      try {
        io_.run();
      } catch (const std::bad_alloc&) {  // cost a connection its handler: the others go on
      }
    }
    ended_.set_value();
  });
}

void Worker::drain() {
  asio::post(io_, [this] {
    boost::system::error_code ignored;
    acceptor_.cancel(ignored);
    operator_acceptor_.cancel(ignored);
    for (Session& session : sessions_) session.begin_drain();
  });
}

void Worker::abort() {
  asio::post(io_, [this] {
    aborting_ = true;
    for (Session& session : sessions_) session.abort();
  });
}

bool Worker::has_ended_by(Clock::time_point when) {
  return ended_future_.wait_until(when) == std::future_status::ready;
}

asio::awaitable<void> Worker::accept_one(tcp::acceptor& acceptor, Session::Audience audience) {
  // Not async_accept(): without memory for the new socket it drops who waits, and nobody would
  // accept any more. Here the lack of memory comes as an exception.
  auto [error] = co_await acceptor.async_wait(tcp::acceptor::wait_read, kNoThrow);
  tcp::socket socket(io_);
  if (!error) acceptor.accept(socket, error);
  if (!error) {
    admit(std::move(socket), audience);
  } else if (error != asio::error::operation_aborted && error != asio::error::would_block &&
             error != asio::error::connection_aborted) {
    asio::steady_timer pause(io_, kAcceptPause);
    co_await pause.async_wait(kNoThrow);
  }
}

asio::awaitable<void> Worker::accept_all(tcp::acceptor& acceptor, Session::Audience audience) {
  while (!shared_.draining) {
    try {
      co_await accept_one(acceptor, audience);
    } catch (const std::bad_alloc&) {  // one connection is lost, the next may find room
    }
  }
  // Closing the listener would reset what waits in its queue.
  boost::system::error_code error;
  while (!error || error == asio::error::connection_aborted) {
    tcp::socket socket(io_);
    acceptor.accept(socket, error);
    if (!error) admit(std::move(socket), audience);
  }
  acceptor.close(error);
  end_ticker_if_idle();
}

void Worker::admit(tcp::socket socket, Session::Audience audience) {
  ConnectionSlot slot(shared_);
  const bool is_refused = !slot.is_held() && audience == Session::Audience::kPublic;
  if (is_refused && refusing_ >= kMaxRefusing) return;
  auto session = std::make_unique<Session>(std::move(socket), audience, shared_, local_);
  sessions_.push_back(*session);
  if (aborting_) session->abort();
  asio::co_spawn(io_, run_session(std::move(session), std::move(slot), is_refused), asio::detached);
}

asio::awaitable<void> Worker::run_session(std::unique_ptr<Session> session,
                                          [[maybe_unused]] ConnectionSlot slot, bool is_refused) {
  if (!is_refused) {
    co_await session->serve();
  } else {
    const Refusing counted(refusing_);
    co_await session->refuse();
  }
  session.reset();
  end_ticker_if_idle();
}

void Worker::end_ticker_if_idle() {
  if (!is_busy()) ticker_.cancel();
}

bool Worker::is_busy() const {
  return acceptor_.is_open() || operator_acceptor_.is_open() || !sessions_.empty();
}

// Deadlines are as exact as the tick; a timer for each would cost every request.
asio::awaitable<void> Worker::tick_all() {
  while (is_busy()) {
    try {
      co_await tick_one();
    } catch (const std::bad_alloc&) {  // the next one comes soon
    }
  }
}

asio::awaitable<void> Worker::tick_one() {
  ticker_.expires_after(kTick);
  co_await ticker_.async_wait(kNoThrow);
  const Clock::time_point now = Clock::now();
  for (Session& session : sessions_) session.tick(now);
  local_.files.sweep(now);
}

}  // namespace kvcast::origin
