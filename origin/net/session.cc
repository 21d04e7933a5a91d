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

// What a connection holds while it waits; most requests fit.
constexpr size_t kIdleBufferBytes = 1024;
// Bodies up to this size leave with their head, by one copy and one call.
constexpr uint64_t kSmallBodyBytes = 16384;

// Smaller answers tell of the link only to clients that speak CMCD.
constexpr uint64_t kMinEstimatedBytes = 65536;

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

Session::Session(tcp::socket socket, Audience audience, Shared& shared, Local& local)
    : audience_(audience),
      shared_(shared),
      local_(local),
      connection_(std::move(socket), shared.bucket.get(), shared.send_buffer_bytes),
      buffer_(kIdleBufferBytes) {
  local.metrics.connections.add();
  if (audience == Audience::kOperator) return;
  if (std::shared_ptr<const TlsContext> context = shared.tls.get()) {
    connection_.begin_tls(std::move(context), local.tls);
  }
}

void Session::begin_drain() {
  if (!waiting_) return;
  if (served_ > 0) return connection_.abort();
  connection_.set_deadline(std::min(connection_.deadline(), Clock::now() + kDrainFirstRequest));
}

asio::awaitable<void> Session::serve() {
  bool more = co_await secure();
  idle_since_ = Clock::now();
  while (more) more = co_await serve_one();
  co_await connection_.linger();
}

asio::awaitable<bool> Session::secure() {
  if (!connection_.is_tls()) co_return true;
  connection_.set_deadline(Clock::now() + milliseconds(shared_.limits.handshake_timeout_ms));
  const bool agreed = co_await connection_.shake_hands();
  (agreed ? local_.metrics.handshakes : local_.metrics.failed_handshakes).add();
  co_return agreed;
}

asio::awaitable<void> Session::refuse() {
  const bool is_secure = co_await secure();
  if (!is_secure) co_return;
  started_ = Clock::now();
  started_unix_ms_ = unix_ms_now();
  request_.clear();
  Answer refusal;
  local_.metrics.refused_connections.add();
  refusal.plan = plan_refusal(request_, 503);
  refusal.paced = false;
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
  logged_.path.clear();
  logged_.key_id.clear();
  if (head == Head::kRefused) {
    if (!shared_.token_keys.get()) logged_.path = request_.target;
    reply.plan = plan_refusal(request_, refusal_status_);
  } else {
    keep_alive = request_.keep_alive && served_ < shared_.limits.max_requests_per_connection &&
                 !shared_.draining;
    Route chosen = choose();
    if (const auto* upload = std::get_if<UploadRoute>(&chosen)) {
      reply = co_await take_upload(*upload, keep_alive);
    } else if (const auto* removal = std::get_if<RemovalRoute>(&chosen)) {
      reply = co_await take_removal(*removal, keep_alive);
    } else if (const auto* lookup = std::get_if<LookupRoute>(&chosen);
               lookup != nullptr && audience_ == Audience::kPublic) {
      reply = co_await look_up(*lookup, keep_alive);
    } else {
      keep_alive = keep_alive && !leaves_body_unread(request_, shared_.policy);
      if (keep_alive && request_.body_bytes > 0) keep_alive = co_await discard_body();
      reply = answer(std::move(chosen));
      if (reply.fetch_first) reply = co_await answer_after_fetch(std::move(*reply.fetch_first));
    }
  }
  const bool complete = co_await send(reply, keep_alive);
  log(reply, complete);
  co_return complete&& keep_alive;
}

asio::awaitable<Session::Head> Session::read_head() {
  parser_.emplace(request_, shared_.head_limits);
  waiting_ = true;
  if (buffered_bytes_ == 0 && buffer_.size() > kIdleBufferBytes) {
    std::vector<char>(kIdleBufferBytes).swap(buffer_);
  }
  connection_.set_deadline(idle_since_ + milliseconds(shared_.limits.idle_timeout_ms));
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
    make_room();
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

// The parser has refused a head before it fills the largest buffer.
void Session::make_room() {
  if (buffered_bytes_ < buffer_.size()) return;
  buffer_.resize(std::min(buffer_.size() * 4, shared_.limits.max_header_bytes));
}

void Session::take(size_t bytes) {
  buffered_bytes_ -= bytes;
  std::memmove(buffer_.data(), buffer_.data() + bytes, buffered_bytes_);
}

asio::awaitable<bool> Session::send(const Answer& reply, bool keep_alive) {
  const ResponsePlan& plan = reply.plan;
  const uint64_t allowed_ms =
      plan.send_body ? plan.body_bytes / shared_.limits.min_rate_bytes_per_s * 1000 : 0;
  const Clock::time_point now = Clock::now();
  connection_.set_deadline(now + milliseconds(shared_.limits.response_grace_ms) +
                           milliseconds(allowed_ms));
  connection_.begin_response(reply.paced);
  std::string& out = local_.out;
  out.clear();
  HeadContext context{request_.http11, keep_alive, local_.dates.now(), ms_between(started_, now)};
  if (plan.body_bytes >= kMinEstimatedBytes || !request_.cmcd.empty()) {
    context.link = connection_.link_estimate();
  }
  append_head(plan, context, out);
  head_bytes_ = out.size();
  bool has_file_body = false;
  if (plan.send_body && !plan.body_first) {
    out += reply.text.empty() ? plan.text : std::string_view(reply.text);
  } else if (plan.send_body && !reply.memory.empty()) {
    out += reply.memory.substr(*plan.body_first, plan.body_bytes);
  } else if (plan.send_body && FileCache::provide_content(*reply.file)) {
    out += std::string_view(reply.file->content).substr(*plan.body_first, plan.body_bytes);
  } else if (plan.send_body && plan.body_bytes <= kSmallBodyBytes) {
    if (!append_small_body(reply, out)) co_return false;
  } else {
    has_file_body = plan.send_body;
  }
  bool complete = true;
  if (const size_t sent = connection_.send_now(out, has_file_body); sent < out.size()) {
    const std::string rest = out.substr(sent);  // the thread's others need `out` meanwhile
    complete = co_await connection_.send(rest, has_file_body);
  }
  if (complete && has_file_body) {
    complete = co_await connection_.send_file(reply.file->descriptor.get(), *plan.body_first,
                                              plan.body_bytes);
  }
  if (complete && !connection_.is_flushed()) complete = co_await connection_.flush();
  co_return complete;
}

void Session::log(const Answer& reply, bool complete) {
  const Clock::time_point now = Clock::now();
  idle_since_ = now;
  const double duration_ms = ms_between(started_, now);
  const double ttfb_ms = ms_between(started_, connection_.first_sent_at().value_or(now));
  const uint64_t body_bytes =
      connection_.sent_bytes() - std::min(connection_.sent_bytes(), head_bytes_);
  local_.metrics.count_request(reply.plan.status, body_bytes, complete, duration_ms / 1e3,
                               ttfb_ms / 1e3);
  if (!shared_.access_log) return;
  AccessRecord record;
  record.unix_ms = started_unix_ms_;
  record.peer = connection_.peer();
  record.method = request_.method_name;
  record.path = logged_.path;
  record.key_id = logged_.key_id;
  record.status = reply.plan.status;
  record.bytes = body_bytes;
  record.complete = complete;
  record.range = request_.range;
  record.duration_ms = duration_ms;
  record.ttfb_ms = ttfb_ms;
  record.user_agent = request_.user_agent;
  record.cmcd = request_.cmcd;
  std::string& line = local_.out;
  line.clear();
  append_access_line(record, line);
  shared_.access_log->add(line);
}

}  // namespace kvcast::origin
