#include "tools/proxy/lossy_path.h"

#include <algorithm>

namespace kvcast::proxy {
namespace {

constexpr double kInitialWindow = 10;  // RFC 6928
constexpr double kRetransmitTimeout_s = 0.2;
constexpr size_t kDuplicatesToTell = 3;  // segments in flight from which a loss is seen by the next

}  // namespace

bool LossyPath::lose() {
  // Not std::bernoulli_distribution: its draws differ between standard libraries.
  return static_cast<double>(random_() >> 11) * 0x1p-53 < params_.loss;
}

void LossyPath::acknowledge_next() {
  acknowledgements_.pop();
  window_ += window_ < threshold_ ? 1 : 1 / window_;
}

void LossyPath::acknowledge_until(double time_s) {
  while (!acknowledgements_.empty() && acknowledgements_.top() <= time_s) acknowledge_next();
}

double LossyPath::deliver(double ready_s) {
  if (ready_s - sent_s_ > kRetransmitTimeout_s) {
    acknowledge_until(ready_s);
    if (acknowledgements_.empty()) window_ = std::min(window_, kInitialWindow);  // RFC 5681, 4.1
  }
  double time_s = std::max(ready_s, sent_s_);
  acknowledge_until(time_s);
  while (static_cast<double>(acknowledgements_.size() + 1) > window_) {
    time_s = std::max(time_s, acknowledgements_.top());
    acknowledge_next();
  }
  sent_s_ = time_s;
  double arrives_s = time_s + params_.rtt_s / 2;
  if (lose()) {
    arrives_s += params_.rtt_s * (acknowledgements_.size() < kDuplicatesToTell ? 2 : 1);
    while (lose()) arrives_s += kRetransmitTimeout_s;
    if (time_s >= recovered_s_) {
      threshold_ = window_ = std::max(window_ / 2, 2.0);
      recovered_s_ = arrives_s + params_.rtt_s / 2;
    }
  }
  acknowledgements_.push(arrives_s + params_.rtt_s / 2);
  delivered_s_ = std::max(delivered_s_, arrives_s);
  return delivered_s_;
}

}  // namespace kvcast::proxy
