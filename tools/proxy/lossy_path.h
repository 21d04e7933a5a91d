// One direction of a TCP connection over a path with delay and random loss, as arithmetic on times:
// when what an application writes can be read at the other end. Pure; a test and a proxy share it.
//
// The sender is a Reno with SACK as RFC 5681 and RFC 6675 describe it: slow start from ten
// segments, one more segment a round trip after it, the window halved at most once a round trip. A
// lost segment is sent again a round trip later, two when too few follow it to tell (a tail loss
// probe, RFC 8985), and after 200 ms when the second copy is lost too. The receiver hands bytes
// over in order, so that what comes after a lost segment waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <random>
#include <vector>

namespace kvcast::proxy {

inline constexpr size_t kSegmentBytes = 1448;  // of Ethernet's 1,500, with timestamps

struct PathParams {
  double rtt_s = 0;
  double loss = 0;  // probability that a segment is lost, each way
  uint64_t seed = 1;
};

class LossyPath {
 public:
  explicit LossyPath(const PathParams& params) : params_(params), random_(params.seed) {}

  // A segment of at most kSegmentBytes that is ready to be sent at `ready_s`; later calls have
  // later times. Returns when the receiver can read it: never before an earlier segment.
  double deliver(double ready_s);

 private:
  void acknowledge_until(double time_s);
  void acknowledge_next();
  bool lose();

  PathParams params_;
  std::mt19937_64 random_;
  double window_ = 10;  // segments
  double threshold_ = 1e9;
  double sent_s_ = 0, delivered_s_ = 0, recovered_s_ = 0;
  std::priority_queue<double, std::vector<double>, std::greater<>> acknowledgements_;
};

}  // namespace kvcast::proxy
