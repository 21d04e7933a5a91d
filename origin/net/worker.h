// One thread of the server: an event loop, its listening socket, its sessions, and the ticker that
// ends what is late.
#pragma once

#include <boost/intrusive/list.hpp>
#include <future>
#include <memory>
#include <thread>

#include "manifests/result.h"
#include "origin/net/asio.h"
#include "origin/net/local.h"
#include "origin/net/session.h"
#include "origin/net/shared.h"

namespace kvcast::origin {

// All but the constructor, start, drain, abort and the destructor run on the worker's thread.
class Worker {
 public:
  // Not yet listening. `shared` outlives the worker.
  explicit Worker(Shared& shared);
  ~Worker();  // cuts off all sessions and waits for the thread; `shared` is draining, or start was
              // not called

  // Binds and listens; several workers may share one port. The address really bound, so that port 0
  // becomes a number.
  manifests::Result<tcp::endpoint> listen(const tcp::endpoint& address);
  // The same for operators: plain HTTP, health and metrics only, no limit of connections.
  manifests::Result<tcp::endpoint> listen_for_operators(const tcp::endpoint& address);
  // Whose counts are read by any thread.
  const Metrics& metrics() const { return local_.metrics; }
  // Starts the thread. Once.
  void start();
  // Any thread, after start: accept no more, end idle sessions. The thread ends with its last
  // session.
  void drain();
  // Any thread, after start: cut off all sessions.
  void abort();
  // Whether the thread has ended by then.
  bool has_ended_by(std::chrono::steady_clock::time_point when);

 private:
  using Sessions = boost::intrusive::list<Session, boost::intrusive::constant_time_size<false>>;

  asio::awaitable<void> accept_all(tcp::acceptor& acceptor, Session::Audience audience);
  asio::awaitable<void> accept_one(tcp::acceptor& acceptor, Session::Audience audience);
  asio::awaitable<void> tick_all();
  asio::awaitable<void> tick_one();
  asio::awaitable<void> run_session(std::unique_ptr<Session> session, ConnectionSlot slot,
                                    bool is_refused);
  void admit(tcp::socket socket, Session::Audience audience);
  bool is_busy() const;
  void end_ticker_if_idle();

  Shared& shared_;
  Local local_;
  Sessions sessions_;  // before io_: the loop's destruction ends what still runs
  // Its sockets and timers are touched by the worker's thread only, so they need no locks.
  asio::io_context io_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  tcp::acceptor acceptor_{io_}, operator_acceptor_{io_};
  asio::steady_timer ticker_{io_};
  size_t refusing_ = 0;
  bool aborting_ = false;
  std::promise<void> ended_;
  std::future<void> ended_future_;
  std::thread thread_;
};

}  // namespace kvcast::origin
