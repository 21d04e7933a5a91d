#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "player/simulator.h"

namespace kvcast::player {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

LinkTrace::LinkTrace(std::vector<Step> steps, std::optional<double> period_s) {
  auto data = std::make_shared<Data>();
  data->steps = std::move(steps);
  data->period_s = period_s;
  double bytes = 0;
  for (size_t i = 0; i < data->steps.size(); ++i) {
    data->bytes_before.push_back(bytes);
    const Step& step = data->steps[i];
    const double end_s =
        i + 1 < data->steps.size() ? data->steps[i + 1].begin_s : period_s.value_or(step.begin_s);
    bytes += (end_s - step.begin_s) * step.bytes_per_s;
  }
  data->period_bytes = bytes;
  data_ = std::move(data);
}

size_t LinkTrace::step_at(double s) const {
  const std::vector<Step>& steps = data_->steps;
  const auto after = std::upper_bound(steps.begin() + 1, steps.end(), s,
                                      [](double t, const Step& step) { return t < step.begin_s; });
  return static_cast<size_t>(after - steps.begin()) - 1;
}

double LinkTrace::carried(double s) const {
  double before = 0;
  if (data_->period_s) {
    const double rounds = std::floor(s / *data_->period_s);
    before = rounds * data_->period_bytes;
    s -= rounds * *data_->period_s;
  }
  const size_t i = step_at(s);
  return before + data_->bytes_before[i] +
         (s - data_->steps[i].begin_s) * data_->steps[i].bytes_per_s;
}

LinkTrace LinkTrace::shifted(double offset_s) const {
  LinkTrace shifted = *this;
  shifted.offset_s_ += offset_s / time_;
  shifted.carried_before_ = carried(shifted.offset_s_);
  return shifted;
}

LinkTrace LinkTrace::scaled(double rate, double time) const {
  LinkTrace scaled = *this;
  scaled.rate_ *= rate;
  scaled.time_ *= time;
  return scaled;
}

double LinkTrace::bytes_per_s_at(double seconds) const {
  double s = offset_s_ + seconds / time_;
  if (data_->period_s) s -= std::floor(s / *data_->period_s) * *data_->period_s;
  return rate_ * data_->steps[step_at(s)].bytes_per_s;
}

double LinkTrace::bytes_until(double seconds) const {
  if (seconds <= 0) return 0;
  return rate_ * time_ * (carried(offset_s_ + seconds / time_) - carried_before_);
}

double LinkTrace::seconds_until(double bytes) const {
  if (bytes <= 0) return 0;
  if (rate_ <= 0) return kInfinity;
  double wanted = carried_before_ + bytes / (rate_ * time_);
  double begin_s = 0;
  if (data_->period_s) {
    if (data_->period_bytes <= 0) return kInfinity;
    // One round less where it ends in an outage: earliest is what is asked for.
    const double rounds = std::max(0.0, std::ceil(wanted / data_->period_bytes) - 1);
    begin_s = rounds * *data_->period_s;
    wanted -= rounds * data_->period_bytes;
  }
  if (wanted <= 0) return std::max(0.0, (begin_s - offset_s_) * time_);  // rounding
  const std::vector<double>& before = data_->bytes_before;
  const auto reached = std::lower_bound(before.begin() + 1, before.end(), wanted);
  const auto i = static_cast<size_t>(reached - before.begin()) - 1;
  const Step& step = data_->steps[i];
  if (step.bytes_per_s <= 0) return kInfinity;
  const double s = begin_s + step.begin_s + (wanted - before[i]) / step.bytes_per_s;
  return std::max(0.0, (s - offset_s_) * time_);
}

double LinkTrace::next_change_s(double seconds) const {
  double s = offset_s_ + seconds / time_, begin_s = 0;
  if (data_->period_s) {
    begin_s = std::floor(s / *data_->period_s) * *data_->period_s;
    s -= begin_s;
  }
  const size_t next = step_at(s) + 1;
  double change_s = kInfinity;
  if (next < data_->steps.size()) {
    change_s = begin_s + data_->steps[next].begin_s;
  } else if (data_->period_s) {
    change_s = begin_s + *data_->period_s;
  }
  const double at_s = (change_s - offset_s_) * time_;
  return at_s > seconds ? at_s : std::nextafter(seconds, kInfinity);
}

double LinkTrace::mean_bytes_per_s() const {
  const double s = seconds();
  if (s <= 0) return bytes_per_s_at(0);
  return rate_ * data_->period_bytes / (s / time_);
}

double LinkTrace::seconds() const {
  return time_ * data_->period_s.value_or(data_->steps.back().begin_s);
}

}  // namespace kvcast::player
