// Requests that a read-through cache has to answer: at once, or after its store was asked.
#include <algorithm>
#include <utility>

#include "origin/net/session.h"
#include "origin/through/waiter.h"

namespace kvcast::origin {
namespace {

using Clock = Connection::Clock;
using std::chrono::milliseconds;

// How often one who waits looks whether the server is ending.
constexpr milliseconds kLook{100};
// How long one waits for news of a file of which an old one is there.
constexpr milliseconds kWaitForNews{1000};

}  // namespace

std::optional<CacheUse> Session::use_of_cache(const std::string& path, CachedFile* file) {
  ReadThrough& through = *shared_.through;
  if (file == nullptr) {  // not found it stays, where no store would have it
    if (file_kind(path) == FileKind::kOther) return CacheUse::kNone;
    return {};
  }
  if (!file->cache_entry) file->cache_entry = through.entry_of(path);
  CacheEntry& entry = *file->cache_entry;
  const int64_t now_s = through.now_s();
  if (entry.used_s.load(std::memory_order_relaxed) != now_s) entry.used_s = now_s;
  const bool may_change = file->facts.kind != FileKind::kObject;
  const auto freshness = may_change ? through.freshness(entry) : ReadThrough::Freshness::kFresh;
  if (freshness == ReadThrough::Freshness::kExpired) return {};
  through.counts().hits.fetch_add(1, std::memory_order_relaxed);
  if (freshness == ReadThrough::Freshness::kFresh) return CacheUse::kHit;
  through.counts().stale_hits.fetch_add(1, std::memory_order_relaxed);
  through.fetch(path, {});
  return CacheUse::kStaleHit;
}

asio::awaitable<Session::Answer> Session::answer_after_fetch(Admission admission) {
  ReadThrough& through = *shared_.through;
  const milliseconds limit(shared_.limits.fetch_wait_ms);
  const bool has_old = local_.files.open(admission.path, started_).error_status == 0;
  const Clock::time_point until = Clock::now() + (has_old ? std::min(limit, kWaitForNews) : limit);
  connection_.set_deadline(Clock::time_point::max());
  asio::steady_timer timer(co_await asio::this_coro::executor);
  std::optional<ReadThrough::Outcome> outcome;
  {
    Waiter waiter(timer);
    through.fetch(admission.path, waiter.callback());
    while (!(outcome = waiter.outcome()) && !connection_.is_aborted() && Clock::now() < until) {
      timer.expires_after(kLook);
      co_await timer.async_wait(kNoThrow);
    }
  }
  FileCache::Found found = local_.files.open(admission.path, Clock::now());
  const bool is_there = found.error_status == 0 && outcome != ReadThrough::Outcome::kAbsent;
  if (is_there && outcome == ReadThrough::Outcome::kStored) {
    through.counts().misses.fetch_add(1, std::memory_order_relaxed);
    found.file->cache_entry = through.entry_of(admission.path);
    co_return answer_found(admission, std::move(found.file), CacheUse::kMiss);
  }
  if (is_there) {  // an old one is better than none
    through.counts().hits.fetch_add(1, std::memory_order_relaxed);
    through.counts().stale_hits.fetch_add(1, std::memory_order_relaxed);
    co_return answer_found(admission, std::move(found.file), CacheUse::kStaleHit);
  }
  Answer reply;
  int status = 504;
  if (outcome == ReadThrough::Outcome::kAbsent) status = 404;
  if (outcome == ReadThrough::Outcome::kFailed) status = 502;
  // Stored, and evicted before it could be opened: the cache is far too small.
  if (outcome == ReadThrough::Outcome::kStored) status = found.error_status == 404 ? 503 : 500;
  reply.plan = plan_refusal(request_, status);
  co_return reply;
}

}  // namespace kvcast::origin
