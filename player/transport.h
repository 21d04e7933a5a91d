// HTTP requests in flight, behind the smallest interface, so that everything above runs against an
// in-memory double in virtual time. All calls from one thread, except wake().
//
// Life of a transfer: start -> [headers] -> data* -> done | failed. Nothing is reported after
// cancel(). A response other than 200 or 206 is a failure: its body is thrown away. Body bytes
// collect in a buffer the transfer owns, which the last event hands over: whole when done, as far
// as it came when failed, so that the next attempt can resume.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvcast::player {

using TransferId = uint64_t;  // never reused by one transport; 0 is none

struct ByteRange {
  uint64_t first = 0;
  std::optional<uint64_t> last;  // inclusive, as in RFC 9110; absent: to the end
};

struct TransferRequest {
  std::string url;  // http or https
  std::optional<ByteRange> range;
  std::optional<std::vector<std::byte>> post;  // POST with this body, no redirects; absent: GET
  std::vector<std::string> headers;        // "Name: value"; one with CR or LF fails the transfer
  uint64_t size_limit_bytes = 0;           // of this body; one more byte fails the transfer
  std::optional<uint64_t> expected_bytes;  // of this body: only sizes the buffer
  bool fresh_connection = false;           // not one that was used before
  bool accept_compressed = false;  // gzip and the like, decoded; the limit counts decoded bytes
  std::chrono::milliseconds connect_limit{3000};
  std::chrono::milliseconds first_byte_limit{
      5000};  // from the start of the transfer to its first header
  std::chrono::milliseconds stall_limit{3000};  // between body bytes
};

struct ResponseHeaders {
  int status = 0;  // 200 or 206 unless the transfer failed
  bool http2 = false;
  std::optional<uint64_t> content_length;
  std::optional<uint64_t> range_first, range_total;  // of Content-Range; total absent for "*"
  std::string etag;                                  // as sent, with quotes and any W/
  std::optional<uint64_t> age_s;                     // Age: an HTTP cache answered
  std::string cache_status;                          // Cache-Status (RFC 9211) as sent, or X-Cache
  bool varnish_hit = false;                          // X-Varnish with two ids
  // Of CMSD-Dynamic (CTA-5006), the nearest server's: what it estimates of this link.
  std::optional<double> server_rate_bytes_per_s, server_rtt_s;
  int64_t ttfb_ns = 0;          // from the start of the transfer to its first header
  int64_t setup_ns = 0;         // of it, until the request could be sent; 0 on a kept connection
  int64_t handshake_ns = 0;     // of it, the TCP handshake: one round trip
  bool new_connection = false;  // setup and handshake are in ttfb
};

struct TransferFailure {
  std::string message;     // what went wrong, without the URL
  int curl_code = 0;       // CURLcode; 0 when HTTP or a limit here decided
  int http_status = 0;     // 0 when no response came
  bool too_long = false;   // the body goes past size_limit_bytes
  bool retryable = false;  // the same request may succeed later (resets, limits, 429, 5xx)
  std::optional<std::chrono::milliseconds> retry_after;
};

struct TransferEvent {
  enum class Kind { kHeaders, kData, kDone, kFailed };
  TransferId id = 0;
  Kind kind = Kind::kData;
  int64_t time_ns = 0;          // of Transport::now_ns, when it happened
  ResponseHeaders headers;      // headers, done
  uint64_t new_bytes = 0;       // data
  TransferFailure failure;      // failed
  std::vector<std::byte> body;  // done, failed
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Never fails here: what is wrong with the request comes as a failed event.
  virtual TransferId start(TransferRequest request) = 0;

  // The transfer and its bytes are gone. An unknown or finished id is ignored.
  virtual void cancel(TransferId id) = 0;

  // The same, but what came of the body of a 200 or 206 is handed over.
  virtual std::vector<std::byte> stop(TransferId id) {
    cancel(id);
    return {};
  }

  // Opens connections to the host of `url` ahead of need, by requests whose answers nobody sees.
  virtual void warm(const std::string& /*url*/, uint32_t /*connections*/) {}

  // While paused nothing is read from any connection, so that servers stop sending; no limit of
  // a transfer runs meanwhile.
  virtual void pause(bool /*paused*/) {}

  // What happened, oldest first. Waits up to `max_wait` for the first event, for wake(), or for
  // nothing when there are events already.
  virtual std::vector<TransferEvent> poll(std::chrono::nanoseconds max_wait) = 0;

  // From any thread: the poll under way, or else the next one, returns at once.
  virtual void wake() = 0;

  // The clock of all events: monotonic, its origin arbitrary.
  virtual int64_t now_ns() const = 0;
};

}  // namespace kvcast::player
