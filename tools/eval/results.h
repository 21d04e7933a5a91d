// From what each context cost and lost to rows, confidence intervals and equal-KL ratios. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/eval/reference.h"
#include "tools/eval/scheme.h"

namespace kvcast::eval {

struct Sample {
  uint64_t bytes = 0;
  Verdict verdict;
};

// One point of a curve over all contexts; samples[i] is of context i.
struct Row {
  std::string curve, label;
  uint64_t shared_bytes = 0;
  std::vector<Sample> samples;
};

struct Interval {
  double mean = 0, low = 0, high = 0;
};

struct Summary {
  double bits_per_element = 0;                   // over all contexts
  double bits_amortised_100 = 0;                 // with the shared bytes spread over 100 contexts
  uint64_t total_bytes = 0;                      // of all contexts
  Interval mean_kl, top1_agreement, perplexity;  // 95%, normal, over contexts
};

// `elements`: of one context's cache.
Summary summarise(const Row& row, uint64_t elements);

// Bytes of `curve` over bytes of `reference`, at the reference's mean KL: bits are interpolated
// linearly over log KL between the neighbouring points of the curve. Low and high: 2.5% and 97.5%
// of 1,000 bootstrap samples of contexts (Efron 1979; fixed seed). `bound`: even the coarsest point
// has less KL than the reference, so that its bytes bound the ratio from above.
struct EqualKlRatio {
  std::string curve;
  std::string reference;  // "cachegen level 1"
  double kl = 0;
  std::optional<Interval> ratio, amortised_100;  // none: the curve does not reach that KL
  bool bound = false;
};
EqualKlRatio equal_kl_ratio(std::span<const Row> curve, const Row& reference, uint64_t elements);

// Rows of one curve, in their order.
std::vector<Row> rows_of(std::span<const Row> rows, const std::string& curve);
std::vector<std::string> curves_of(std::span<const Row> rows);

}  // namespace kvcast::eval
