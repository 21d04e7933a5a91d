#include "kernels/exact/exponent_tables.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/profile.h"
#include "kernels/statistics/frequencies.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kWindow = kMaxAlphabet - 1;  // exponents one table can name
constexpr uint64_t kSymbolsPerTable = 4096;  // below this a further table costs more than it saves
constexpr int kRounds = 3;

uint64_t total(const ExponentHistogram& histogram) {
  return std::accumulate(histogram.begin(), histogram.end(), uint64_t{0});
}

double mean_exponent(const ExponentHistogram& histogram) {
  double sum = 0;
  for (uint32_t e = 0; e < kExponents; ++e) sum += static_cast<double>(e) * histogram[e];
  return sum / static_cast<double>(std::max<uint64_t>(1, total(histogram)));
}

void add(const ExponentHistogram& from, ExponentHistogram& to) {
  for (uint32_t e = 0; e < kExponents; ++e) to[e] += from[e];
}

// The first exponent of the window that holds the most elements.
uint32_t best_window(const ExponentHistogram& histogram) {
  uint64_t inside = std::accumulate(histogram.begin(), histogram.begin() + kWindow, uint64_t{0});
  uint64_t most = inside;
  uint32_t best = 0;
  for (uint32_t first = 1; first + kWindow <= kExponents; ++first) {
    inside = inside + histogram[first + kWindow - 1] - histogram[first - 1];
    if (inside > most) {
      most = inside;
      best = first;
    }
  }
  return best;
}

ExponentTable build_table(const ExponentHistogram& histogram) {
  uint32_t first = best_window(histogram);
  uint32_t end = first + kWindow;
  while (first + 1 < end && histogram[first] == 0) ++first;
  while (first + 1 < end && histogram[end - 1] == 0) --end;
  std::vector<double> weights(histogram.begin() + first, histogram.begin() + end);
  const double inside = std::accumulate(weights.begin(), weights.end(), 0.0);
  weights.push_back(static_cast<double>(total(histogram)) - inside);
  if (inside == 0) weights[0] = 1;  // no elements at all: a table must still be one
  return {static_cast<uint8_t>(first), to_frequencies(weights)};
}

std::array<double, kExponents> code_lengths(const ExponentHistogram& histogram) {
  constexpr double kUnseen = 1.0 / 64;  // keeps the cost of an exponent new to the table finite
  const double sum = static_cast<double>(total(histogram)) + kUnseen * kExponents;
  std::array<double, kExponents> bits;
  for (uint32_t e = 0; e < kExponents; ++e) bits[e] = -std::log2((histogram[e] + kUnseen) / sum);
  return bits;
}

std::vector<ExponentHistogram> merge(std::span<const ExponentHistogram> groups,
                                     std::span<const uint8_t> table_of, size_t tables) {
  std::vector<ExponentHistogram> merged(tables, ExponentHistogram{});
  for (size_t g = 0; g < groups.size(); ++g) add(groups[g], merged[table_of[g]]);
  return merged;
}

void assign(std::span<const ExponentHistogram> groups, std::span<const ExponentHistogram> tables,
            std::span<uint8_t> table_of) {
  std::vector<std::array<double, kExponents>> lengths;
  for (const ExponentHistogram& table : tables) lengths.push_back(code_lengths(table));
  for (size_t g = 0; g < groups.size(); ++g) {
    double least = std::numeric_limits<double>::infinity();
    for (size_t t = 0; t < tables.size(); ++t) {
      double bits = 0;
      for (uint32_t e = 0; e < kExponents; ++e) bits += groups[g][e] * lengths[t][e];
      if (bits < least) {
        least = bits;
        table_of[g] = static_cast<uint8_t>(t);
      }
    }
  }
}

// Equal shares of the groups in the order of their mean exponents.
std::vector<uint8_t> initial_assignment(std::span<const ExponentHistogram> groups, size_t tables) {
  std::vector<double> mean(groups.size());
  std::transform(groups.begin(), groups.end(), mean.begin(), mean_exponent);
  std::vector<size_t> order(groups.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return mean[a] < mean[b]; });
  std::vector<uint8_t> table_of(groups.size());
  for (size_t i = 0; i < order.size(); ++i) {
    table_of[order[i]] = static_cast<uint8_t>(i * tables / order.size());
  }
  return table_of;
}

// Drops tables without members.
size_t compact(std::span<uint8_t> table_of) {
  std::array<int, kMaxExponentTables> renamed;
  renamed.fill(-1);
  int next = 0;
  for (uint8_t& table : table_of) {
    if (renamed[table] < 0) renamed[table] = next++;
    table = static_cast<uint8_t>(renamed[table]);
  }
  return std::max<size_t>(1, static_cast<size_t>(next));
}

}  // namespace

ExponentTables choose_exponent_tables(std::span<const ExponentHistogram> groups) {
  uint64_t symbols = 0;
  for (const ExponentHistogram& group : groups) symbols += total(group);
  const uint64_t affordable =
      std::clamp<uint64_t>(symbols / kSymbolsPerTable, 1, kMaxExponentTables);
  size_t count = std::clamp<size_t>(groups.size(), 1, affordable);
  ExponentTables chosen;
  chosen.table_of = initial_assignment(groups, count);
  for (int round = 0; round < kRounds; ++round) {
    assign(groups, merge(groups, chosen.table_of, count), chosen.table_of);
  }
  count = compact(chosen.table_of);
  for (const ExponentHistogram& histogram : merge(groups, chosen.table_of, count)) {
    chosen.tables.push_back(build_table(histogram));
  }
  return chosen;
}

}  // namespace kvcast::kernels
