// A transport that remembers when which bytes came, and says afterwards at what rate the link went:
// a trace that a simulation can replay. The same thread rule as the transport below it.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "player/report.h"
#include "player/transport.h"

namespace kvcast::player {

class RecordingTransport final : public Transport {
 public:
  explicit RecordingTransport(Transport& inner) : inner_(inner) {}  // which must outlive it

  TransferId start(TransferRequest request) override;
  void cancel(TransferId id) override;
  std::vector<std::byte> stop(TransferId id) override;
  void warm(const std::string& url, uint32_t connections) override {
    inner_.warm(url, connections);
  }
  void pause(bool paused) override;
  std::vector<TransferEvent> poll(std::chrono::nanoseconds max_wait) override;
  void wake() override { inner_.wake(); }
  int64_t now_ns() const override { return inner_.now_ns(); }

  // Seconds since `start_ns`; the first step begins at 0. Rates of bins of 20 ms, over the time of
  // each in which any body was being received: a silent link has rate 0, an idle one keeps the rate
  // that it had. Compressed bodies are left out, since what they were on the link is not known.
  // Empty when nothing was received.
  std::vector<LinkRate> link(int64_t start_ns) const;

 private:
  struct Moment {
    int64_t time_ns = 0;
    uint64_t bytes = 0;      // that came then
    bool receiving = false;  // from then on
  };
  void note(int64_t time_ns, uint64_t bytes);
  void leave(TransferId id, int64_t time_ns);

  Transport& inner_;
  std::map<TransferId, bool> bodies_;  // counted transfers; true once the body has begun
  size_t receiving_ = 0;
  bool paused_ = false;
  std::vector<Moment> moments_;
};

}  // namespace kvcast::player
