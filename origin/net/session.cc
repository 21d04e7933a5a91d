#include "origin/net/session.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "origin/log/record.h"

namespace kvcast::origin {
namespace {

using Clock = Connection::Clock;
using std::chrono::milliseconds;

// How long a connection accepted just before the drain may take to bring its request.
constexpr milliseconds kDrainFirstRequest{500};

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

Session::Session(tcp::socket socket, Shared& shared, DateCache& dates)
    : shared_(shared),
      dates_(dates),
      connection_(std::move(socket), shared.bucket.get(), shared.send_buffer_bytes),
      buffer_(shared.limits.max_header_bytes) {}

void Session::begin_drain() {
  if (!waiting_) return;
  if (served_ > 0) return connection_.abort();
  connection_.set_deadline(std::min(connection_.deadline(), Clock::now() + kDrainFirstRequest));
}

asio::awaitable<void> Session::serve() {
  bool more = true;
  while (more) more = co_await serve_one();
  co_await connection_.linger();
}

asio::awaitable<void> Session::refuse() {
  started_ = Clock::now();
  started_unix_ms_ = unix_ms_now();
  request_.clear();
  const Answer refusal{plan_refusal(request_, 503), {}, false};
  const bool complete = co_await send(refusal, false);
  log(refusal, complete);
  co_await connection_.linger();
}

asio::awaitable<bool> Session::serve_one() {
  const Head head = co_await read_head();
  if (head == Head::kNone) co_return false;
  ++served_;
  bool keep_alive = false;
  Answer reply;
  if (head == Head::kRefused) {
    reply.plan = plan_refusal(request_, refusal_status_);
  } else {
    keep_alive = request_.keep_alive && !leaves_body_unread(request_, shared_.policy) &&
                 served_ < shared_.limits.max_requests_per_connection && !shared_.draining;
    if (keep_alive) keep_alive = co_await discard_body();
    reply = answer();
  }
  const bool complete = co_await send(reply, keep_alive);
  log(reply, complete);
  co_return complete&& keep_alive;
}

asio::awaitable<Session::Head> Session::read_head() {
  parser_.emplace(request_, shared_.head_limits);
  waiting_ = true;
  connection_.set_deadline(Clock::now() + milliseconds(shared_.limits.idle_timeout_ms));
  if (shared_.draining) begin_drain();
  while (true) {
    if (waiting_) skip_empty_lines();
    if (buffered_bytes_ > 0 && waiting_) {
      waiting_ = false;
      started_ = Clock::now();
      started_unix_ms_ = unix_ms_now();
      connection_.set_deadline(started_ + milliseconds(shared_.limits.header_timeout_ms));
    }
    if (buffered_bytes_ > 0) {
      take(parser_->put({buffer_.data(), buffered_bytes_}));
      if (parser_->error_status() != 0) {
        refusal_status_ = parser_->error_status();
        co_return Head::kRefused;
      }
      if (parser_->done()) co_return Head::kRequest;
    }
    const size_t got = co_await connection_.read_some(std::span(buffer_).subspan(buffered_bytes_));
    buffered_bytes_ += got;
    if (got > 0) continue;
    if (waiting_ || !connection_.is_expired()) co_return Head::kNone;
    refusal_status_ = 408;
    co_return Head::kRefused;
  }
}

// The body's bytes, unused. False if they did not come in the time the header had.
asio::awaitable<bool> Session::discard_body() {
  uint64_t left = request_.body_bytes;
  const size_t here = static_cast<size_t>(std::min<uint64_t>(left, buffered_bytes_));
  take(here);
  left -= here;
  while (left > 0) {
    const size_t most = static_cast<size_t>(std::min<uint64_t>(left, buffer_.size()));
    const size_t got = co_await connection_.read_some(std::span(buffer_).first(most));
    if (got == 0) co_return false;
    left -= got;
  }
  co_return true;
}

// RFC 9112 §2.2: some clients send one after a body.
void Session::skip_empty_lines() {
  const std::string_view here(buffer_.data(), buffered_bytes_);
  size_t skipped = 0;
  while (here.substr(skipped).starts_with("\r\n")) skipped += 2;
  if (skipped > 0) take(skipped);
}

void Session::take(size_t bytes) {
  buffered_bytes_ -= bytes;
  std::memmove(buffer_.data(), buffer_.data() + bytes, buffered_bytes_);
}

Session::Answer Session::answer() {
  Answer reply;
  Route chosen = route(request_, shared_.policy);
  if (auto* plan = std::get_if<ResponsePlan>(&chosen)) {
    reply.plan = std::move(*plan);
  } else if (const auto* wanted = std::get_if<FileRoute>(&chosen)) {
    reply.file = shared_.root.open(wanted->path);
    reply.plan = reply.file.error_status != 0
                     ? plan_refusal(request_, reply.file.error_status)
                     : plan_file(request_, wanted->path, reply.file.info, dates_.now_s());
  } else {
    reply.plan = plan_health(request_, shared_.draining);
    reply.paced = false;
  }
  return reply;
}

asio::awaitable<bool> Session::send(const Answer& reply, bool keep_alive) {
  const ResponsePlan& plan = reply.plan;
  const uint64_t allowed_ms =
      plan.send_body ? plan.body_bytes / shared_.limits.min_rate_bytes_per_s * 1000 : 0;
  connection_.set_deadline(Clock::now() + milliseconds(shared_.limits.response_grace_ms) +
                           milliseconds(allowed_ms));
  connection_.begin_response(reply.paced);
  head_.clear();
  append_head(plan, HeadContext{request_.http11, keep_alive, dates_.now()}, head_);
  const bool has_file_body = plan.send_body && plan.body_first && plan.body_bytes > 0;
  if (plan.send_body && !plan.body_first) head_ += plan.text;
  bool complete = co_await connection_.send(head_, has_file_body);
  if (complete && has_file_body) {
    complete = co_await connection_.send_file(reply.file.descriptor.get(), *plan.body_first,
                                              plan.body_bytes);
  }
  co_return complete;
}

void Session::log(const Answer& reply, bool complete) {
  if (!shared_.access_log) return;
  const Clock::time_point now = Clock::now();
  const uint64_t body_bytes = reply.plan.send_body ? reply.plan.body_bytes : 0;
  const uint64_t head_bytes = head_.size() - (reply.plan.body_first ? 0 : body_bytes);
  AccessRecord record;
  record.unix_ms = started_unix_ms_;
  record.peer = connection_.peer();
  record.method = request_.method_name;
  record.path = request_.target;
  record.status = reply.plan.status;
  record.bytes = connection_.sent_bytes() - std::min(connection_.sent_bytes(), head_bytes);
  record.complete = complete;
  record.range = request_.range;
  record.duration_ms = ms_between(started_, now);
  record.ttfb_ms = ms_between(started_, connection_.first_sent_at().value_or(now));
  record.user_agent = request_.user_agent;
  record.cmcd = request_.cmcd;
  line_.clear();
  append_access_line(record, line_);
  shared_.access_log->add(line_);
}

}  // namespace kvcast::origin
