#include "kernels/statistics/train_classes.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace kvcast::kernels {
namespace {

constexpr int kRounds = 3;
constexpr size_t kGroupsPerClass = 4;
constexpr double kSymbolsPerClass = 16384;  // enough to place twenty frequencies
constexpr double kPriorSymbols = 1024;      // weight of the smoothing distribution

struct Nearest {
  size_t index = 0;
  double bits = std::numeric_limits<double>::infinity();
};

Nearest cheapest(std::span<const CodeLengths> lengths, const ClassStatistics& statistics) {
  Nearest nearest;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const double bits = lengths[i].bits(statistics);
    if (bits < nearest.bits) nearest = {i, bits};
  }
  return nearest;
}

std::vector<CodeLengths> lengths_of(std::span<const ScaleClass> classes) {
  return {classes.begin(), classes.end()};
}

// Equal shares of the groups, in the order of their bits a symbol.
std::vector<size_t> initial_clusters(std::span<const ClassStatistics> groups,
                                     std::span<const CodeLengths> family, size_t clusters) {
  std::vector<double> rate;
  for (const ClassStatistics& group : groups) {
    rate.push_back(cheapest(family, group).bits / group.total());
  }
  std::vector<size_t> order(groups.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rate[a] < rate[b]; });
  std::vector<size_t> cluster_of(groups.size());
  for (size_t i = 0; i < order.size(); ++i) cluster_of[order[i]] = i * clusters / order.size();
  return cluster_of;
}

// The classes of the clusters that have members.
std::vector<ScaleClass> fit(std::span<const ClassStatistics> groups,
                            std::span<const ClassStatistics> family,
                            std::span<const CodeLengths> family_lengths,
                            std::span<const size_t> cluster_of, size_t clusters) {
  const auto passes = static_cast<uint32_t>(family[0].passes.size());
  std::vector<ClassStatistics> pooled(clusters, ClassStatistics(passes));
  for (size_t g = 0; g < groups.size(); ++g) pooled[cluster_of[g]].add(groups[g], 1);
  std::vector<ScaleClass> classes;
  for (ClassStatistics& cluster : pooled) {
    if (!(cluster.total() > 0)) continue;
    cluster.add(family[cheapest(family_lengths, cluster).index], kPriorSymbols);
    classes.push_back(build_class(cluster));
  }
  return classes;
}

}  // namespace

std::vector<ScaleClass> train_classes(std::span<const ClassStatistics> groups,
                                      std::span<const ClassStatistics> family, size_t most) {
  double symbols = 0;
  for (const ClassStatistics& group : groups) symbols += group.total();
  const auto supported = static_cast<size_t>(symbols / kSymbolsPerClass);
  const size_t clusters =
      std::min({most, groups.size() / kGroupsPerClass, supported});
  if (clusters == 0) return {};
  std::vector<CodeLengths> family_lengths;
  for (const ClassStatistics& member : family) family_lengths.emplace_back(build_class(member));
  std::vector<size_t> cluster_of = initial_clusters(groups, family_lengths, clusters);
  std::vector<ScaleClass> classes = fit(groups, family, family_lengths, cluster_of, clusters);
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<CodeLengths> lengths = lengths_of(classes);
    for (size_t g = 0; g < groups.size(); ++g) cluster_of[g] = cheapest(lengths, groups[g]).index;
    classes = fit(groups, family, family_lengths, cluster_of, classes.size());
  }
  return classes;
}

}  // namespace kvcast::kernels
