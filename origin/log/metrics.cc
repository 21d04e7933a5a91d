#include "origin/log/metrics.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace kvcast::origin {
namespace {

std::string number(double value) {
  std::array<char, 32> text;
  return std::string(
      text.data(),
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr);
}

class Page {
 public:
  explicit Page(std::span<const Metrics* const> threads) : threads_(threads) {}

  void describe(std::string_view name, std::string_view type, std::string_view help) {
    for (const auto& [word, text] : {std::pair{"HELP", help}, std::pair{"TYPE", type}}) {
      ((((text_ += "# ") += word) += " kvcast_") += name) += ' ';
      (text_ += text) += '\n';
    }
  }
  void sample(std::string_view name, std::string_view labels, const std::string& value) {
    (((text_ += "kvcast_") += name) += labels) += ' ';
    (text_ += value) += '\n';
  }
  template <typename Member>
  uint64_t sum(Member member) const {
    uint64_t total = 0;
    for (const Metrics* thread : threads_) total += member(*thread).value();
    return total;
  }
  template <typename Member>
  void counter(std::string_view name, std::string_view help, Member member) {
    describe(name, "counter", help);
    sample(name, "", std::to_string(sum(member)));
  }
  void gauge(std::string_view name, std::string_view help, uint64_t value) {
    describe(name, "gauge", help);
    sample(name, "", std::to_string(value));
  }
  void histogram(const std::string& name, std::string_view help, Histogram Metrics::*which) {
    describe(name, "histogram", help);
    uint64_t below = 0;
    for (size_t i = 0; i <= kDurationBounds.size(); ++i) {
      below +=
          sum([&](const Metrics& thread) -> const Counter& { return (thread.*which).buckets[i]; });
      const std::string bound = i < kDurationBounds.size() ? number(kDurationBounds[i]) : "+Inf";
      sample(name + "_bucket", "{le=\"" + bound + "\"}", std::to_string(below));
    }
    const uint64_t total_us =
        sum([&](const Metrics& thread) -> const Counter& { return (thread.*which).total_us; });
    sample(name + "_sum", "", number(static_cast<double>(total_us) / 1e6));
    sample(name + "_count", "", std::to_string(below));
  }
  std::string take() { return std::move(text_); }

 private:
  std::span<const Metrics* const> threads_;
  std::string text_;
};

}  // namespace

void Histogram::add(double seconds) {
  const auto bound = std::ranges::lower_bound(kDurationBounds, seconds);
  buckets[static_cast<size_t>(bound - kDurationBounds.begin())].add();
  total_us.add(static_cast<uint64_t>(std::max(0.0, seconds) * 1e6));
}

void Metrics::count_request(int status, uint64_t sent_bytes, bool complete, double duration_s,
                            double ttfb_s) {
  const auto known = std::ranges::find(kCountedStatuses, status);
  requests[static_cast<size_t>(known - kCountedStatuses.begin())].add();
  body_bytes.add(sent_bytes);
  if (!complete) incomplete.add();
  duration.add(duration_s);
  ttfb.add(ttfb_s);
}

std::string metrics_text(std::span<const Metrics* const> threads, const ServerGauges& gauges) {
  Page page(threads);
  page.describe("http_requests_total", "counter", "Requests answered, by status.");
  for (size_t i = 0; i <= kCountedStatuses.size(); ++i) {
    const std::string status =
        i < kCountedStatuses.size() ? std::to_string(kCountedStatuses[i]) : "other";
    const uint64_t count =
        page.sum([&](const Metrics& thread) -> const Counter& { return thread.requests[i]; });
    page.sample("http_requests_total", "{status=\"" + status + "\"}", std::to_string(count));
  }
  using M = const Metrics&;
  using C = const Counter&;
  page.counter("http_response_body_bytes_total", "Bytes of bodies handed to the kernel.",
               [](M m) -> C { return m.body_bytes; });
  page.counter("http_incomplete_responses_total", "Responses cut off before their end.",
               [](M m) -> C { return m.incomplete; });
  page.counter("upload_bytes_total", "Bytes of uploads received, kept or not.",
               [](M m) -> C { return m.received_bytes; });
  page.histogram("http_request_duration_seconds",
                 "From a request's first byte to its response's last.", &Metrics::duration);
  page.histogram("http_time_to_first_byte_seconds",
                 "From a request's first byte to its response's first.", &Metrics::ttfb);
  page.counter("connections_accepted_total", "Connections accepted.",
               [](M m) -> C { return m.connections; });
  page.counter("connections_refused_total", "Connections beyond the limit, answered 503.",
               [](M m) -> C { return m.refused_connections; });
  page.counter("tls_handshakes_total", "TLS handshakes that succeeded.",
               [](M m) -> C { return m.handshakes; });
  page.counter("tls_handshakes_failed_total", "TLS handshakes that failed or took too long.",
               [](M m) -> C { return m.failed_handshakes; });
  page.gauge("connections", "Connections open now.", gauges.open_connections);
  page.gauge("connections_max", "Connections allowed at one time.", gauges.max_connections);
  page.describe("access_log_dropped_lines_total", "counter", "Log lines nobody took in time.");
  page.sample("access_log_dropped_lines_total", "", std::to_string(gauges.dropped_log_lines));
  page.gauge("draining", "1 once the server is stopping.", gauges.draining ? 1 : 0);
  return page.take();
}

}  // namespace kvcast::origin
