#include "tools/engine/comparison.h"

#include <algorithm>
#include <cmath>

#include "tools/engine/prefill.h"

namespace kvcast::engine {
namespace {

using manifests::Result;

// ln of the sum of e^logit, in double so that near-equal distributions have a KL near zero.
double log_sum_exp(std::span<const float> logits) {
  const double maximum = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - maximum);
  return maximum + std::log(sum);
}

}  // namespace

Comparison compare_distributions(std::span<const float> reference, std::span<const float> candidate,
                                 size_t vocabulary, std::span<const uint32_t> targets) {
  Comparison result;
  result.positions = reference.size() / vocabulary;
  double kl = 0, reference_loss = 0, loss = 0;
  uint64_t agreed = 0;
  for (uint64_t position = 0; position < result.positions; ++position) {
    const auto p = reference.subspan(position * vocabulary, vocabulary);
    const auto q = candidate.subspan(position * vocabulary, vocabulary);
    const double p_sum = log_sum_exp(p), q_sum = log_sum_exp(q);
    for (size_t token = 0; token < vocabulary; ++token) {
      const double log_p = p[token] - p_sum;
      kl += std::exp(log_p) * (log_p - (q[token] - q_sum));
    }
    agreed += most_likely(p) == most_likely(q);
    if (position < targets.size()) {
      reference_loss += p_sum - p[targets[position]];
      loss += q_sum - q[targets[position]];
    }
  }
  const double positions = static_cast<double>(std::max<uint64_t>(1, result.positions));
  const double scored = static_cast<double>(
      std::clamp<uint64_t>(targets.size(), 1, std::max<uint64_t>(1, result.positions)));
  result.mean_kl = std::max(0.0, kl / positions);
  result.top1_agreement = static_cast<double>(agreed) / positions;
  result.reference_perplexity = std::exp(reference_loss / scored);
  result.perplexity = std::exp(loss / scored);
  return result;
}

Result<Comparison> compare_caches(const Model& model, KvCache& reference, KvCache& candidate,
                                  uint64_t begin, std::span<const uint32_t> continuation,
                                  unsigned threads) {
  PrefillOptions options;
  options.threads = threads;
  options.all_positions = true;
  Result<Prefill> expected = prefill(model, reference, begin, continuation, options);
  if (!expected.ok()) return expected.error();
  Result<Prefill> got = prefill(model, candidate, begin, continuation, options);
  if (!got.ok()) return got.error();
  return compare_distributions(expected->logits, got->logits, model.config().vocabulary,
                               continuation.subspan(1));
}

}  // namespace kvcast::engine
