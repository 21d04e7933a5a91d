#include "kernels/statistics/class_statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "kernels/quantise/quantiser.h"
#include "kernels/statistics/frequencies.h"

namespace kvcast::kernels {
namespace {

constexpr double kEscapeBits = 16;  // the value itself, in the escape list
constexpr double kRareTail = 2e-5;  // symbols rarer than this together are cheaper as escapes
constexpr double kPositiveWeight = 1e-9;
constexpr float kLargestFraction = 0.99f;

// The least m such that values beyond it are rare.
int32_t largest_value(const ClassStatistics& statistics) {
  double tail = statistics.far;
  int32_t m = ClassStatistics::kNear;
  for (; m > 1; --m) {
    tail += statistics.near[static_cast<size_t>(ClassStatistics::kNear + m)];
    tail += statistics.near[static_cast<size_t>(ClassStatistics::kNear - m)];
    if (tail > kRareTail * statistics.total()) break;
  }
  return m;
}

ProbabilityTable table_of(std::vector<double> weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight += kPositiveWeight * (sum + 1);
  return {to_frequencies(weights)};
}

ProbabilityTable base_table(const ClassStatistics& statistics) {
  const int32_t m = largest_value(statistics);
  const auto first = statistics.near.begin() + (ClassStatistics::kNear - m);
  std::vector<double> weights(first, first + 2 * m + 1);
  const double inside = std::accumulate(weights.begin(), weights.end(), 0.0);
  weights.push_back(std::max(0.0, statistics.total() - inside));
  return table_of(std::move(weights));
}

float fraction(const ClassStatistics::Cells& cells) {
  if (!(cells.weight > 0)) return 0.5f;
  return std::clamp(static_cast<float>(cells.position / cells.weight), 0.0f, kLargestFraction);
}

double length(uint16_t frequency) {
  return std::log2(double{kProbabilityScale} / frequency);
}

}  // namespace

void ClassStatistics::add(int32_t q, double weight, double position) {
  const auto pass_count = static_cast<uint32_t>(passes.size());
  int32_t value = drop_bits(q, pass_count);
  if (std::abs(value) <= kNear) {
    near[static_cast<size_t>(value + kNear)] += weight;
  } else {
    far += weight;
  }
  for (uint32_t done = 0; done <= pass_count; ++done) {
    const uint32_t bits = pass_count - done;
    if (value != 0) {
      const double below = static_cast<double>(std::abs(q) & ((1 << bits) - 1));
      Cells& cell = cells[done][std::abs(value) == 1 ? 0 : 1];
      cell.weight += weight;
      cell.position += (below * weight + position) / (1 << bits);
    }
    if (done == pass_count) break;
    const int32_t refined = drop_bits(q, bits - 1);
    passes[done][refinement_context(value)][refinement_symbol(value, refined)] += weight;
    value = refined;
  }
}

void ClassStatistics::add(const ClassStatistics& other, double factor) {
  for (size_t i = 0; i < near.size(); ++i) near[i] += factor * other.near[i];
  far += factor * other.far;
  for (size_t pass = 0; pass < passes.size(); ++pass) {
    for (size_t context = 0; context < 3; ++context) {
      for (size_t symbol = 0; symbol < 3; ++symbol) {
        passes[pass][context][symbol] += factor * other.passes[pass][context][symbol];
      }
    }
  }
  for (size_t done = 0; done < cells.size(); ++done) {
    for (size_t i = 0; i < 2; ++i) {
      cells[done][i].weight += factor * other.cells[done][i].weight;
      cells[done][i].position += factor * other.cells[done][i].position;
    }
  }
}

double ClassStatistics::total() const {
  return std::accumulate(near.begin(), near.end(), far);
}

ScaleClass build_class(const ClassStatistics& statistics) {
  ScaleClass scale_class;
  scale_class.base = base_table(statistics);
  for (const auto& contexts : statistics.passes) {
    auto& tables = scale_class.passes.emplace_back();
    for (size_t context = 0; context < 3; ++context) {
      const auto& weights = contexts[context];
      tables[context] = table_of({weights.begin(), weights.begin() + (context == 0 ? 3 : 2)});
    }
  }
  for (const auto& [magnitude_one, larger] : statistics.cells) {
    scale_class.reconstruction.push_back({fraction(magnitude_one), fraction(larger)});
  }
  return scale_class;
}

CodeLengths::CodeLengths(const ScaleClass& scale_class) : passes_(scale_class.passes.size()) {
  const std::vector<uint16_t>& base = scale_class.base.frequency;
  const auto m = static_cast<int32_t>(base.size() / 2) - 1;
  escape_ = length(base.back()) + kEscapeBits;
  near_.fill(escape_);
  for (int32_t value = -m; value <= m; ++value) {
    near_[static_cast<size_t>(value + ClassStatistics::kNear)] =
        length(base[static_cast<size_t>(value + m)]);
  }
  for (size_t pass = 0; pass < passes_.size(); ++pass) {
    for (size_t context = 0; context < 3; ++context) {
      const std::vector<uint16_t>& frequency = scale_class.passes[pass][context].frequency;
      std::transform(frequency.begin(), frequency.end(), passes_[pass][context].begin(), length);
    }
  }
}

double CodeLengths::bits(const ClassStatistics& statistics) const {
  double bits = statistics.far * escape_;
  for (size_t i = 0; i < near_.size(); ++i) bits += statistics.near[i] * near_[i];
  for (size_t pass = 0; pass < passes_.size(); ++pass) {
    for (size_t context = 0; context < 3; ++context) {
      for (size_t symbol = 0; symbol < 3; ++symbol) {
        bits += statistics.passes[pass][context][symbol] * passes_[pass][context][symbol];
      }
    }
  }
  return bits;
}

}  // namespace kvcast::kernels
