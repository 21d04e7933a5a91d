// The clock of a play and its event log. One thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "player/report.h"
#include "player/transport.h"

namespace kvcast::player {

class Journal {
 public:
  Journal(const Transport& transport, std::optional<int64_t> start_ns, const EventHandler& handler)
      : transport_(transport),
        handler_(handler),
        start_ns_(start_ns ? *start_ns : transport.now_ns()) {}

  int64_t start_ns() const { return start_ns_; }
  double seconds(int64_t time_ns) const { return static_cast<double>(time_ns - start_ns_) * 1e-9; }
  double now_s() const { return seconds(transport_.now_ns()); }

  void note(std::string_view what, std::optional<uint32_t> chunk, std::optional<uint32_t> plane,
            std::string reason,
            std::vector<std::pair<std::string_view, double>> numbers = {}) const {
    if (!handler_) return;
    handler_({now_s() * 1e3, what, chunk, plane, std::move(reason), std::move(numbers)});
  }

 private:
  const Transport& transport_;
  const EventHandler& handler_;
  int64_t start_ns_;
};

}  // namespace kvcast::player
