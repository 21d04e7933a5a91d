// Objects and manifests, whole and checked, from whichever base URL answers. On top of Transport;
// the same thread rule.
//
// A download makes attempts until it is complete or gives up. An attempt that breaks is resumed by
// Range where it stopped (If-Range with the ETag when the base is the same; across bases the digest
// in the name says that it is the same object); an answer that does not fit the range starts over.
// A base that fails without giving a byte is excluded for a while, for all downloads; one that
// lacks an object or serves it corrupt, for that download. With another base at hand the next
// attempt starts at once, otherwise after a jittered exponential pause that grows with attempts and
// shrinks with the time left to the deadline, and never before a Retry-After has passed. A digest
// that does not fit is refetched once, elsewhere if there is an elsewhere. Nothing is complete
// before its length and SHA-256 fit.
//
// An attempt that hangs (its first byte later than 95% of those of its host, or its body silent for
// longer than usual) is hedged: a second one asks for what is missing, of another base or on a new
// connection. Bytes that come twice are charged to a budget; when it is spent, the slower side
// ends. What a cancelled download had is kept for a while, for the next one of the same object.
//
// With a deadline, limits of an attempt shrink to half of the time left (never below half a
// second, doubling with each failure). Until the deadline has passed downloads that may succeed
// later are retried without counting; once it has passed and no byte of any body has arrived for
// `patience`, or `late_limit` after it whatever arrives, all fail (kPromise).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "manifests/manifest.h"
#include "manifests/result.h"
#include "player/cmcd.h"
#include "player/throughput.h"
#include "player/transport.h"

namespace kvcast::player {

using DownloadId = uint64_t;  // never reused by one downloader

// Urgent downloads overtake queued normal ones, not running ones.
enum class Priority : uint8_t { kUrgent = 0, kNormal = 1 };

// Either `object`, found below the base URLs and verified, or `url`, which has no digest.
struct DownloadRequest {
  std::string name;  // for messages: "chunk 3 plane 0", "manifest"
  std::optional<manifests::ObjectRef> object;
  std::string url;
  uint64_t size_limit_bytes = manifests::kMaxManifestBytes;  // of a url; an object has its own size
  // Of a url: a question by POST that may go unanswered. It is asked once: no retry, no hedge.
  std::optional<std::vector<std::byte>> post;
  Priority priority = Priority::kNormal;
  // For servers' logs and queues (CMCD): what it is, and the level of a plane.
  CmcdRequest::Type type = CmcdRequest::Type::kOther;
  std::optional<uint32_t> level;
};

struct DownloaderParams {
  uint32_t max_parallel = 4;  // the rest waits in the order given
  uint32_t max_attempts = 8;  // attempts in a row that bring no byte; a refetch counts on
  std::chrono::milliseconds backoff_first{50}, backoff_most{2000};
  double backoff_deadline_share = 0.1;        // a pause takes at most this share of the time left
  std::chrono::milliseconds exclusion{3000};  // of a base that fails; Retry-After prolongs it
  std::chrono::milliseconds retry_after_most{30000};  // a longer Retry-After counts as a refusal
  std::chrono::milliseconds connect_limit{3000}, first_byte_limit{5000}, stall_limit{3000};
  double limit_deadline_share = 0.5;  // of the time left, for the three limits above
  std::chrono::milliseconds limit_least{500};
  std::chrono::milliseconds patience{250};
  std::optional<std::chrono::milliseconds> late_limit;  // after the deadline; absent: none
  double hedge_byte_share = 0.05;  // of object bytes asked for, that may come twice; 0: no hedges
  std::chrono::milliseconds hedge_least{20};  // no wait is a hang before
  CmcdSession cmcd;   // headers that tell servers about requests; none while its id is empty
  uint64_t seed = 1;  // of jitter and of the choice among bases of one priority
};

struct DownloadEvent {
  enum class Kind {
    kStarted,  // an attempt: url, attempt, offset, reason ("first attempt", "resume", "other base",
               // ...)
    kHeaders,  // of this attempt: headers
    kData,     // new_bytes, received_bytes
    kRetry,    // the attempt failed: reason says how and what comes next, at retry_at_ns
    kHedge,    // a second attempt beside one that hangs: url, attempt, offset, waited_ns, reason
    kHedgeEnd,  // one of the two is dropped: attempt, reason
    kComplete,  // bytes, verified (false only for a url)
    kFailed,    // error, http_status; no attempt will follow
  };
  Kind kind = Kind::kData;
  DownloadId id = 0;
  std::string name;      // of the request
  int64_t time_ns = 0;   // of the transport's clock, when it happened
  uint32_t attempt = 0;  // from 1; two may run at once
  std::string url;
  std::string reason;
  uint64_t offset = 0;  // bytes that this attempt did not ask for again
  ResponseHeaders headers;
  uint64_t new_bytes = 0;
  uint64_t received_bytes =
      0;  // of the object, from the start; may fall when an attempt starts over
  int64_t retry_at_ns = 0;
  int64_t waited_ns = 0;
  std::vector<std::byte> bytes;
  bool verified = false;
  bool corrupt = false;  // kRetry, kFailed: a base served something else under this name
  std::optional<manifests::Error> error;  // kFailed: kIo, or kCorrupt when the digest did not fit
  int http_status = 0;  // kRetry, kFailed: 404 means that no base has it; 0 without a response
};

class Downloader {
 public:
  // `transport` must outlive it and is used by nobody else meanwhile: events of unknown transfers
  // are dropped.
  Downloader(Transport& transport, DownloaderParams params = {});
  ~Downloader();  // cancels everything
  Downloader(const Downloader&) = delete;
  Downloader& operator=(const Downloader&) = delete;

  // Where objects are: the manifest's base URLs, relative ones resolved against the URL the
  // manifest came from; none given means "../". Error: a base that is no http(s) URL.
  manifests::Status set_bases(const std::string& manifest_url,
                              std::span<const manifests::BaseUrl> bases);

  // Of the transport's clock. After it downloads go on, with pauses as without a deadline.
  void set_deadline(std::optional<int64_t> deadline_ns);

  // What earlier plays know of waits at a host (play_history.h), before its first answer.
  void expect(const std::string& host, const LinkRecord& record);

  // For CMCD: the rate measured, and what is played once that is known.
  void describe(double rate_bytes_per_s, const std::string& content_id);

  // While paused nothing is read, and no time passes for limits and hedges.
  void pause(bool paused);

  // Never fails here: problems come as events.
  DownloadId start(DownloadRequest request);
  void cancel(
      DownloadId id);  // nothing is reported afterwards; an unknown or finished id is ignored

  // Waits up to `max_wait` for something to report, or for Transport::wake().
  std::vector<DownloadEvent> poll(std::chrono::nanoseconds max_wait);

  size_t running() const;        // attempts in flight
  size_t queued() const;         // waiting for one of max_parallel, or for a pause to end
  uint64_t bytes_twice() const;  // that hedges cost

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvcast::player
