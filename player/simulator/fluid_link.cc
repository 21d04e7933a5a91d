#include "player/simulator/fluid_link.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace kvcast::player {
namespace {

constexpr double kWindowSteps = 4;   // a growing window is looked at so often a round trip
constexpr double kDoneBytes = 0.01;  // rounding

}  // namespace

FluidLink::FluidLink(const LinkTrace& trace, const SimulationParams& params)
    : trace_(trace), params_(params) {
  connections_.resize(params.connections);
  for (Connection& connection : connections_) {
    connection.window_bytes = kInitialWindowBytes;
    connection.ready_s = params.rtt_s;  // all are opened with the first
  }
}

double FluidLink::request_s(const Connection& connection, double now_s) const {
  return std::max(now_s, connection.ready_s) + params_.rtt_s + params_.server_s;
}

// The connection with the widest window.
void FluidLink::start(uint64_t id, uint64_t bytes, double now_s, bool measured) {
  Connection* best = nullptr;
  for (Connection& connection : connections_) {
    if (connection.busy) continue;
    if (best == nullptr || connection.window_bytes > best->window_bytes) best = &connection;
  }
  best->busy = true;
  Transfer& transfer = transfers_.emplace_back();
  transfer.id = id;
  transfer.connection = static_cast<size_t>(best - connections_.data());
  transfer.requested_s = now_s;
  transfer.begins_s = request_s(*best, now_s);
  transfer.left_bytes = static_cast<double>(bytes) + params_.response_header_bytes;
  transfer.measured = measured;
}

bool FluidLink::cancel(uint64_t id, double now_s) {
  bool received = false;
  std::erase_if(transfers_, [&](const Transfer& transfer) {
    if (transfer.id != id) return false;
    received = transfer.begun && transfer.measured;
    connections_[transfer.connection] = {now_s + params_.rtt_s, kInitialWindowBytes, false};
    return true;
  });
  return received;
}

void FluidLink::cancel_all(double now_s) {
  while (!transfers_.empty()) cancel(transfers_.back().id, now_s);
}

// Equal shares, what a window does not let one use going to the others.
void FluidLink::share(double now_s) {
  if (now_s >= capacity_until_s_) {
    capacity_ = trace_.bytes_per_s_at(now_s);
    capacity_until_s_ = trace_.next_change_s(now_s);
  }
  double left = capacity_;
  size_t sharers = 0;
  for (Transfer& transfer : transfers_) {
    transfer.rate = -1;
    sharers += transfer.begun;
  }
  window_limited_ = false;
  const bool windows = params_.slow_start && params_.rtt_s > 0;
  for (bool again = windows && sharers > 0; again;) {
    again = false;
    for (Transfer& transfer : transfers_) {
      if (!transfer.begun || transfer.rate >= 0) continue;
      const double most = connections_[transfer.connection].window_bytes / params_.rtt_s;
      if (most >= left / static_cast<double>(sharers)) continue;
      transfer.rate = most;
      left -= most;
      --sharers;
      window_limited_ = again = true;
    }
  }
  for (Transfer& transfer : transfers_) {
    if (transfer.rate < 0) {
      transfer.rate = transfer.begun ? left / static_cast<double>(sharers) : 0;
    }
  }
}

double FluidLink::next_event_s(double now_s, double limit_s) {
  share(now_s);
  double next_s = std::min(limit_s, transfers_.empty() ? limit_s : capacity_until_s_);
  for (const Transfer& transfer : transfers_) {
    if (!transfer.begun) {
      next_s = std::min(next_s, std::max(now_s, transfer.begins_s));
    } else if (transfer.rate > 0) {
      next_s = std::min(next_s, now_s + transfer.left_bytes / transfer.rate);
    }
  }
  if (window_limited_) next_s = std::min(next_s, now_s + params_.rtt_s / kWindowSteps);
  return std::max(next_s, now_s);
}

FluidLink::Passed FluidLink::advance(double from_s, double to_s) {
  Passed passed;
  const double seconds = to_s - from_s;
  for (Transfer& transfer : transfers_) {
    if (!transfer.begun && transfer.begins_s <= to_s) {
      transfer.begun = true;
      passed.began.push_back(transfer);
      continue;
    }
    const double bytes = std::min(transfer.left_bytes, transfer.rate * seconds);
    transfer.left_bytes -= bytes;
    passed.bytes += bytes;
    if (transfer.measured) passed.measured_bytes += bytes;
    // Windows double in a round trip in which they are used up.
    connections_[transfer.connection].window_bytes += std::numbers::ln2 * bytes;
  }
  std::erase_if(transfers_, [&](const Transfer& transfer) {
    const double soon = kDoneBytes + transfer.rate * 1e-9;
    if (!transfer.begun || transfer.left_bytes > soon) return false;
    connections_[transfer.connection].busy = false;
    passed.ended.push_back(transfer);
    return true;
  });
  return passed;
}

double FluidLink::in_flight_bytes() const {
  double bytes = 0;
  for (const Transfer& transfer : transfers_) bytes += transfer.left_bytes;
  return bytes;
}

}  // namespace kvcast::player
