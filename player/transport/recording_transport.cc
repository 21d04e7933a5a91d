#include "player/recording_transport.h"

#include <algorithm>
#include <cmath>

namespace kvcast::player {
namespace {

constexpr double kBin_s = 0.02;
constexpr double kLeastShare = 0.2;  // of a bin, to say anything of it

struct Bin {
  double bytes = 0, receiving_s = 0;
};

}  // namespace

TransferId RecordingTransport::start(TransferRequest request) {
  const bool counted = !request.accept_compressed;
  const TransferId id = inner_.start(std::move(request));
  if (counted) bodies_[id] = false;
  return id;
}

void RecordingTransport::cancel(TransferId id) {
  inner_.cancel(id);
  leave(id, now_ns());
}

std::vector<std::byte> RecordingTransport::stop(TransferId id) {
  std::vector<std::byte> body = inner_.stop(id);
  leave(id, now_ns());
  return body;
}

void RecordingTransport::pause(bool paused) {
  inner_.pause(paused);
  paused_ = paused;
  note(now_ns(), 0);
}

void RecordingTransport::note(int64_t time_ns, uint64_t bytes) {
  const int64_t last_ns = moments_.empty() ? time_ns : moments_.back().time_ns;
  moments_.push_back({std::max(time_ns, last_ns), bytes, receiving_ > 0 && !paused_});
}

void RecordingTransport::leave(TransferId id, int64_t time_ns) {
  const auto body = bodies_.extract(id);
  if (body.empty() || !body.mapped()) return;
  --receiving_;
  note(time_ns, 0);
}

std::vector<TransferEvent> RecordingTransport::poll(std::chrono::nanoseconds max_wait) {
  std::vector<TransferEvent> events = inner_.poll(max_wait);
  for (const TransferEvent& event : events) {
    const auto body = bodies_.find(event.id);
    if (body == bodies_.end()) continue;
    switch (event.kind) {
      case TransferEvent::Kind::kHeaders:
        receiving_ += body->second ? 0 : 1;
        body->second = true;
        note(event.time_ns, 0);
        break;
      case TransferEvent::Kind::kData:
        note(event.time_ns, event.new_bytes);
        break;
      case TransferEvent::Kind::kDone:
      case TransferEvent::Kind::kFailed:
        leave(event.id, event.time_ns);
        break;
    }
  }
  return events;
}

std::vector<LinkRate> RecordingTransport::link(int64_t start_ns) const {
  const auto seconds = [&](int64_t time_ns) {
    return std::max(0.0, static_cast<double>(time_ns - start_ns) * 1e-9);
  };
  std::vector<Bin> bins;
  const auto bin_at = [&bins](double at_s) -> Bin& {
    const auto index = static_cast<size_t>(at_s / kBin_s);
    if (bins.size() <= index) bins.resize(index + 1);
    return bins[index];
  };
  for (size_t i = 0; i < moments_.size(); ++i) {
    const double begin_s = seconds(moments_[i].time_ns);
    bin_at(begin_s).bytes += static_cast<double>(moments_[i].bytes);
    if (!moments_[i].receiving || i + 1 == moments_.size()) continue;
    const double end_s = seconds(moments_[i + 1].time_ns);
    for (double at_s = begin_s; at_s < end_s;) {
      const double next_s = std::min(end_s, (std::floor(at_s / kBin_s + 1e-9) + 1) * kBin_s);
      bin_at(at_s + 1e-12).receiving_s += next_s - at_s;
      at_s = next_s;
    }
  }
  std::vector<LinkRate> link;
  for (size_t i = 0; i < bins.size(); ++i) {
    if (bins[i].receiving_s < kLeastShare * kBin_s) {  // its bytes count with the next that says
      if (i + 1 < bins.size()) {
        bins[i + 1].bytes += bins[i].bytes;
        bins[i + 1].receiving_s += bins[i].receiving_s;
      }
      continue;
    }
    const double rate = bins[i].bytes / bins[i].receiving_s;
    link.push_back({link.empty() ? 0 : static_cast<double>(i) * kBin_s, rate});
  }
  return link;
}

}  // namespace kvcast::player
