#include "tools/proxy/direction.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <deque>
#include <vector>

namespace kvcast::proxy {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Socket = SocketPair::Socket;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxQueuedBytes = 4 << 20;  // a receive window: more waits in the sender

struct Piece {
  Clock::time_point due;
  std::vector<char> bytes;  // empty: the end
};

class Direction {
 public:
  Direction(std::shared_ptr<SocketPair> pair, Socket& from, Socket& to, const PathParams& path,
            double late_s)
      : pair_(std::move(pair)),
        from_(from),
        to_(to),
        path_(path),
        late_s_(late_s),
        due_(from.get_executor()),
        space_(from.get_executor()) {}

  asio::awaitable<void> read_all() {
    std::array<char, kReadBytes> buffer;
    for (;;) {
      while (queued_bytes_ > kMaxQueuedBytes && from_.is_open()) {
        co_await wait(space_, Clock::time_point::max());
      }
      auto [error, count] = co_await from_.async_read_some(asio::buffer(buffer), kNoThrow);
      if (error && error != asio::error::eof) {
        pair_->close();
        due_.cancel();
        co_return;
      }
      const Clock::time_point now = Clock::now();
      for (size_t done = 0; done < count; done += kSegmentBytes) {
        queue(now, {buffer.data() + done, buffer.data() + std::min(count, done + kSegmentBytes)});
      }
      if (error) {
        queue(now, {});
        co_return;
      }
    }
  }

  asio::awaitable<void> write_all() {
    for (;;) {
      while (pieces_.empty() || pieces_.front().due > Clock::now()) {
        co_await wait(due_, pieces_.empty() ? Clock::time_point::max() : pieces_.front().due);
        if (!to_.is_open()) co_return;
      }
      std::vector<char> due;
      for (; !pieces_.empty() && pieces_.front().due <= Clock::now(); pieces_.pop_front()) {
        const std::vector<char>& bytes = pieces_.front().bytes;
        if (bytes.empty()) {
          co_await asio::async_write(to_, asio::buffer(due), kNoThrow);
          boost::system::error_code ignored;
          to_.shutdown(Socket::shutdown_send, ignored);
          co_return;
        }
        due.insert(due.end(), bytes.begin(), bytes.end());
      }
      auto [error, count] = co_await asio::async_write(to_, asio::buffer(due), kNoThrow);
      if (error) pair_->close();
      queued_bytes_ -= count;
      space_.cancel();
      if (error) co_return;
    }
  }

 private:
  void queue(Clock::time_point now, std::vector<char> bytes) {
    const double ready_s = std::chrono::duration<double>(now - begin_).count() + late_s_;
    const std::chrono::duration<double> due(path_.deliver(ready_s));
    queued_bytes_ += bytes.size();
    pieces_.push_back(
        {begin_ + std::chrono::duration_cast<Clock::duration>(due), std::move(bytes)});
    due_.cancel();
  }

  // A cancelled wait is a wake-up: the caller looks again.
  static asio::awaitable<void> wait(asio::steady_timer& timer, Clock::time_point until) {
    timer.expires_at(until);
    co_await timer.async_wait(kNoThrow);
  }

  std::shared_ptr<SocketPair> pair_;
  Socket& from_;
  Socket& to_;
  LossyPath path_;
  double late_s_;
  Clock::time_point begin_ = Clock::now();
  std::deque<Piece> pieces_;
  size_t queued_bytes_ = 0;
  asio::steady_timer due_, space_;  // the writer's and the reader's waits
};

}  // namespace

void SocketPair::spawn(Socket& from, Socket& to, const PathParams& path, double late_s) {
  const auto direction = std::make_shared<Direction>(shared_from_this(), from, to, path, late_s);
  const auto executor = from.get_executor();
  asio::co_spawn(
      executor, [direction] { return direction->read_all(); }, asio::detached);
  asio::co_spawn(
      executor, [direction] { return direction->write_all(); }, asio::detached);
}

void SocketPair::close() {
  boost::system::error_code ignored;
  client.close(ignored);
  server.close(ignored);
}

}  // namespace kvcast::proxy
