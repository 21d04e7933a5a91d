// What the origin counts, and the counts as Prometheus text. Each thread counts for itself and is
// the only one to write; any thread may read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace kvcast::origin {

class Counter {
 public:
  void add(uint64_t more = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Upper bounds in seconds; what is longer goes into the last bucket.
inline constexpr std::array kDurationBounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                               0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                               1.0,    2.5,     5.0,    10.0,  30.0,   60.0};
struct Histogram {
  void add(double seconds);
  std::array<Counter, kDurationBounds.size() + 1> buckets;
  Counter total_us;
};

inline constexpr std::array kCountedStatuses = {200, 201, 202, 204, 206, 304, 400, 401, 403,
                                                404, 405, 408, 409, 411, 412, 413, 414, 415,
                                                416, 422, 431, 500, 501, 503, 505, 507};

struct Metrics {
  void count_request(int status, uint64_t body_bytes, bool complete, double duration_s,
                     double ttfb_s);

  std::array<Counter, kCountedStatuses.size() + 1> requests;  // the last one: other statuses
  Counter body_bytes, incomplete;
  Counter received_bytes;  // of uploads
  Histogram duration, ttfb;
  Counter connections, refused_connections;
  Counter handshakes, failed_handshakes;
};

// What is known of the whole server.
struct ServerGauges {
  size_t open_connections = 0;
  size_t max_connections = 0;
  uint64_t dropped_log_lines = 0;
  bool draining = false;
};

// The sums over all threads, in Prometheus' text format 0.0.4.
inline constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
std::string metrics_text(std::span<const Metrics* const> threads, const ServerGauges& gauges);

}  // namespace kvcast::origin
