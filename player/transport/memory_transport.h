// The in-memory double of Transport, for tests: a handler answers requests, time is virtual and
// moves only in poll(). Nothing sleeps, and the same handler gives the same events.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "player/transport.h"

namespace kvcast::player {

class MemoryTransport final : public Transport {
 public:
  struct Response {
    ResponseHeaders headers;                 // ttfb_ns is set from `first_byte`
    std::vector<std::byte> body;             // what arrives of it
    std::optional<TransferFailure> failure;  // after the body; absent: done
    std::chrono::nanoseconds first_byte{1'000'000};
    std::chrono::nanoseconds per_piece{1'000'000};
    size_t piece_bytes = 4096;
    size_t pause_after = SIZE_MAX;  // of the body: then nothing comes for `pause`
    std::chrono::nanoseconds pause{0};
    bool hangs = false;  // after the body neither the end nor an error comes
  };
  using Handler = std::function<Response(const TransferRequest&)>;  // called by start()

  explicit MemoryTransport(Handler handler) : handler_(std::move(handler)) {}

  TransferId start(TransferRequest request) override;
  void cancel(TransferId id) override;
  std::vector<std::byte> stop(TransferId id) override;
  std::vector<TransferEvent> poll(std::chrono::nanoseconds max_wait) override;
  void wake() override { woken_ = true; }  // here from the one thread only
  int64_t now_ns() const override { return now_ns_; }

  const std::vector<TransferRequest>& requests() const { return requests_; }
  size_t in_flight() const;
  size_t most_in_flight() const { return most_in_flight_; }

 private:
  Handler handler_;
  void limit_waits(TransferId id, const TransferRequest& request, int64_t start_ns);
  std::vector<TransferRequest> requests_;
  std::multimap<int64_t, TransferEvent> coming_;  // by time
  std::map<TransferId, size_t> delivered_;        // body bytes
  int64_t now_ns_ = 1'000'000'000;
  TransferId last_id_ = 0;
  size_t most_in_flight_ = 0;
  bool woken_ = false;
};

// What a well-behaved server answers: 200, or 206 for a range whose If-Range fits, or 416.
MemoryTransport::Response serve_bytes(const std::vector<std::byte>& object, const std::string& etag,
                                      const TransferRequest& request);

// An answer without a body.
MemoryTransport::Response serve_status(int status, bool retryable);

// `response`, broken off after `bytes` of its body.
MemoryTransport::Response broken_after(MemoryTransport::Response response, size_t bytes);

}  // namespace kvcast::player
