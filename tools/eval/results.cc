#include "tools/eval/results.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace kvcast::eval {
namespace {

constexpr double kAmortisedContexts = 100;
constexpr int kBootstraps = 1000;

template <typename Value>
Interval interval(const Row& row, Value value) {
  const double n = static_cast<double>(row.samples.size());
  double sum = 0, squares = 0;
  for (const Sample& sample : row.samples) sum += value(sample);
  Interval result;
  result.mean = sum / n;
  for (const Sample& sample : row.samples) {
    squares += (value(sample) - result.mean) * (value(sample) - result.mean);
  }
  const double half = n > 1 ? 1.96 * std::sqrt(squares / (n - 1) / n) : 0;
  result.low = result.mean - half;
  result.high = result.mean + half;
  return result;
}

struct RatePoint {
  double log_kl = 0, bits = 0;
};

// Of the contexts that `pick` names, with repetition.
RatePoint rate_point(const Row& row, std::span<const size_t> pick, double elements,
                     bool amortised) {
  double kl = 0, bytes = 0;
  for (const size_t i : pick) {
    kl += row.samples[i].verdict.mean_kl;
    bytes += static_cast<double>(row.samples[i].bytes);
  }
  const double n = static_cast<double>(pick.size());
  bytes /= n;
  if (amortised) bytes += static_cast<double>(row.shared_bytes) / kAmortisedContexts;
  return {std::log(std::max(kl / n, 1e-12)), 8 * bytes / elements};
}

struct BitsAt {
  std::optional<double> bits;
  bool bound = false;
};

BitsAt bits_at(std::vector<RatePoint> points, double log_kl) {
  std::sort(points.begin(), points.end(),
            [](const RatePoint& a, const RatePoint& b) { return a.log_kl > b.log_kl; });
  if (points.empty()) return {};
  if (log_kl >= points.front().log_kl) return {points.front().bits, true};
  for (size_t i = 1; i < points.size(); ++i) {
    const RatePoint &a = points[i - 1], &b = points[i];
    if (log_kl < b.log_kl) continue;
    return {a.bits + (b.bits - a.bits) * (a.log_kl - log_kl) / (a.log_kl - b.log_kl), false};
  }
  return {};
}

struct Ratio {
  std::optional<double> value;
  bool bound = false;
};

Ratio ratio_of(std::span<const Row> curve, const Row& reference, std::span<const size_t> pick,
               double elements, bool amortised) {
  const RatePoint at = rate_point(reference, pick, elements, false);
  std::vector<RatePoint> points;
  for (const Row& row : curve) points.push_back(rate_point(row, pick, elements, amortised));
  const BitsAt bits = bits_at(std::move(points), at.log_kl);
  if (!bits.bits) return {};
  return {*bits.bits / at.bits, bits.bound};
}

std::optional<Interval> ratio_interval(std::span<const Row> curve, const Row& reference,
                                       double elements, bool amortised, bool& bound) {
  std::vector<size_t> pick(reference.samples.size());
  std::iota(pick.begin(), pick.end(), size_t{0});
  const Ratio all = ratio_of(curve, reference, pick, elements, amortised);
  bound = all.bound;
  if (!all.value) return std::nullopt;
  std::mt19937_64 random(1);
  std::vector<double> ratios;
  for (int i = 0; i < kBootstraps; ++i) {
    for (size_t& p : pick) p = random() % pick.size();
    const Ratio sampled = ratio_of(curve, reference, pick, elements, amortised);
    if (sampled.value) ratios.push_back(*sampled.value);
  }
  if (ratios.empty()) return Interval{*all.value, *all.value, *all.value};
  std::sort(ratios.begin(), ratios.end());
  return Interval{*all.value, ratios[ratios.size() / 40], ratios[ratios.size() * 39 / 40]};
}

}  // namespace

Summary summarise(const Row& row, uint64_t elements) {
  Summary summary;
  for (const Sample& sample : row.samples) summary.total_bytes += sample.bytes;
  const double n = static_cast<double>(row.samples.size());
  const double bits = 8.0 / static_cast<double>(elements);
  summary.bits_per_element = bits * static_cast<double>(summary.total_bytes) / n;
  summary.bits_amortised_100 =
      summary.bits_per_element + bits * static_cast<double>(row.shared_bytes) / kAmortisedContexts;
  summary.mean_kl = interval(row, [](const Sample& s) { return s.verdict.mean_kl; });
  summary.top1_agreement = interval(row, [](const Sample& s) { return s.verdict.top1_agreement; });
  const Interval loss = interval(row, [](const Sample& s) { return s.verdict.loss; });
  summary.perplexity = {std::exp(loss.mean), std::exp(loss.low), std::exp(loss.high)};
  return summary;
}

EqualKlRatio equal_kl_ratio(std::span<const Row> curve, const Row& reference, uint64_t elements) {
  EqualKlRatio result;
  result.curve = curve.front().curve;
  result.reference = reference.curve + " " + reference.label;
  const double n = static_cast<double>(elements);
  result.kl = summarise(reference, elements).mean_kl.mean;
  result.ratio = ratio_interval(curve, reference, n, false, result.bound);
  result.amortised_100 = ratio_interval(curve, reference, n, true, result.bound);
  return result;
}

std::vector<Row> rows_of(std::span<const Row> rows, const std::string& curve) {
  std::vector<Row> found;
  for (const Row& row : rows) {
    if (row.curve == curve) found.push_back(row);
  }
  return found;
}

std::vector<std::string> curves_of(std::span<const Row> rows) {
  std::vector<std::string> curves;
  for (const Row& row : rows) {
    if (std::find(curves.begin(), curves.end(), row.curve) == curves.end()) {
      curves.push_back(row.curve);
    }
  }
  return curves;
}

}  // namespace kvcast::eval
