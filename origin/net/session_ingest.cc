// Requests whose body counts: uploads, read piece by piece while a disk is waited for elsewhere;
// removals; lookups.
#include <algorithm>
#include <atomic>
#include <utility>
#include <variant>

#include "origin/ingest/upload.h"
#include "origin/lookup/longest_prefix.h"
#include "origin/net/elsewhere.h"
#include "origin/net/session.h"

namespace kvcast::origin {
namespace {

using Clock = Connection::Clock;
using std::chrono::milliseconds;

// What is read before the disk is asked: large enough that going there costs little.
constexpr uint64_t kPieceBytes = 256u << 10;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Each may hold two megabytes of hashes.
constexpr size_t kMaxLookups = 64;

struct LookupSlot {
  explicit LookupSlot(std::atomic<size_t>& running) : count(running) { rank = count.fetch_add(1); }
  ~LookupSlot() { count.fetch_sub(1); }
  LookupSlot(const LookupSlot&) = delete;
  bool is_held() const { return rank < kMaxLookups; }

  std::atomic<size_t>& count;
  size_t rank;
};

}  // namespace

Session::Answer Session::answer_text(int status, std::string text) const {
  Answer reply;
  reply.paced = false;
  reply.plan = plan_refusal(request_, status);
  if (status == 204) {
    reply.plan = {};
    reply.plan.status = status;
  } else if (!text.empty()) {
    reply.text = std::move(text) + "\n";
    reply.plan.body_bytes = reply.text.size();
  }
  return reply;
}

Session::Answer Session::answer_ingest(IngestAnswer outcome) const {
  Answer reply = answer_text(outcome.status, std::move(outcome.text));
  reply.plan.upload_offset = outcome.arrived;
  return reply;
}

asio::awaitable<bool> Session::ask_for_body() {
  if (!request_.expects_continue || !request_.http11 || buffered_bytes_ > 0) co_return true;
  connection_.begin_response(false);
  connection_.set_deadline(Clock::now() + milliseconds(shared_.limits.response_grace_ms));
  const bool sent = co_await connection_.send(kContinue, false);
  if (!sent || connection_.is_flushed()) co_return sent;
  co_return co_await connection_.flush();
}

// As many bytes as `to` holds; fewer if they do not come in the time that the slowest client has.
asio::awaitable<size_t> Session::read_body(std::span<char> to) {
  const uint64_t allowed_ms = to.size() * 1000 / shared_.limits.min_rate_bytes_per_s;
  connection_.set_deadline(Clock::now() + milliseconds(shared_.limits.response_grace_ms) +
                           milliseconds(allowed_ms));
  size_t have = std::min(to.size(), buffered_bytes_);
  std::copy_n(buffer_.data(), have, to.data());
  take(have);
  while (have < to.size()) {
    const size_t got = co_await connection_.read_some(to.subspan(have));
    if (got == 0) break;
    have += got;
  }
  local_.metrics.received_bytes.add(have);
  co_return have;
}

// After an answer that came without the body. Whether another request may follow.
asio::awaitable<bool> Session::pass_over_body() {
  if (request_.body_bytes == 0) co_return true;
  if (leaves_body_unread(request_, shared_.policy)) co_return false;
  co_return co_await discard_body();
}

asio::awaitable<Session::Answer> Session::take_upload(const UploadRoute& route, bool& keep_alive) {
  const bool may_go_on = std::exchange(keep_alive, false);
  Ingest& ingest = *shared_.ingest;
  std::optional<Ingest::Begun> begun;
  auto begin = [&] { begun.emplace(ingest.begin(route, request_)); };
  co_await elsewhere(*shared_.disk_threads, begin);
  if (auto* at_once = std::get_if<IngestAnswer>(&*begun)) {
    const bool is_passed = co_await pass_over_body();
    keep_alive = may_go_on && is_passed;
    co_return answer_ingest(std::move(*at_once));
  }
  auto upload = std::get<std::unique_ptr<Ingest::Upload>>(std::move(*begun));
  bool is_coming = co_await ask_for_body();
  uint64_t left = request_.body_bytes;
  std::optional<IngestAnswer> failed;
  std::vector<char> piece(static_cast<size_t>(std::min(left, kPieceBytes)));
  while (left > 0 && is_coming && !failed) {
    const auto wanted = std::span(piece).first(static_cast<size_t>(std::min(left, kPieceBytes)));
    const size_t got = co_await read_body(wanted);
    auto write = [&] { failed = ingest.write(*upload, std::as_bytes(wanted.first(got))); };
    co_await elsewhere(*shared_.disk_threads, write);
    left -= got;
    is_coming = got == wanted.size();
  }
  if (failed) co_return answer_ingest(std::move(*failed));
  if (left > 0) {
    auto interrupt = [&] { ingest.interrupt(std::move(upload)); };
    co_await elsewhere(*shared_.disk_threads, interrupt);
    co_return answer_text(408, "the body did not come to its end");
  }
  IngestAnswer outcome;
  auto finish = [&] { outcome = ingest.finish(std::move(upload), request_); };
  co_await elsewhere(*shared_.disk_threads, finish);
  keep_alive = may_go_on;
  co_return answer_ingest(std::move(outcome));
}

asio::awaitable<Session::Answer> Session::take_removal(const RemovalRoute& route,
                                                       bool& keep_alive) {
  const bool is_passed = co_await pass_over_body();
  keep_alive = keep_alive && is_passed;
  IngestAnswer outcome;
  auto remove = [&] { outcome = shared_.ingest->remove(route.name, request_); };
  co_await elsewhere(*shared_.disk_threads, remove);
  co_return answer_ingest(std::move(outcome));
}

asio::awaitable<Session::Answer> Session::look_up(const LookupRoute& route, bool& keep_alive) {
  const bool may_go_on = std::exchange(keep_alive, false);
  const LookupSlot slot(shared_.lookups);
  if (!slot.is_held()) co_return answer_text(503, "too many lookups at once");
  const bool is_coming = co_await ask_for_body();
  std::vector<char> hashes(static_cast<size_t>(request_.body_bytes));
  size_t got = 0;
  if (is_coming) got = co_await read_body(hashes);
  if (got < hashes.size()) co_return answer_text(408, "the body did not come to its end");
  keep_alive = may_go_on;
  Answer reply;
  reply.paced = false;
  reply.plan = plan_text(request_, 200, "application/json");
  reply.text = answer_lookup(shared_.root, route.name, std::as_bytes(std::span(hashes)));
  reply.plan.body_bytes = reply.text.size();
  co_return reply;
}

}  // namespace kvcast::origin
