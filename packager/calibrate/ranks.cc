#include "packager/calibrate/ranks.h"

#include <algorithm>
#include <numeric>

namespace kvcast::packager {
namespace {

struct Component {
  double variance;
  uint64_t bytes;
  size_t section, block;
  double value() const { return variance / static_cast<double>(bytes); }
};

}  // namespace

std::vector<std::vector<uint32_t>> choose_ranks(std::span<const SectionSpectrum> sections,
                                                double least_variance, uint64_t max_basis_bytes) {
  std::vector<std::vector<uint32_t>> ranks;
  std::vector<Component> candidates;
  std::vector<uint32_t> left;  // [section]: components
  uint64_t bytes = 0;
  for (size_t s = 0; s < sections.size(); ++s) {
    std::vector<uint32_t>& of_section = ranks.emplace_back();
    for (size_t b = 0; b < sections[s].blocks.size(); ++b) {
      const Eigen::VectorXd& variance = sections[s].blocks[b].variance;
      const auto row_bytes = 2 * static_cast<uint64_t>(variance.size());
      const bool is_only = b == 0;
      uint32_t rank = is_only ? 1 : 0;
      while (rank < variance.size() && variance[rank] >= least_variance) ++rank;
      of_section.push_back(rank);
      bytes += rank * row_bytes;
      for (uint32_t i = 0; i < rank; ++i) candidates.push_back({variance[i], row_bytes, s, b});
    }
    left.push_back(std::accumulate(of_section.begin(), of_section.end(), 0u));
  }
  if (max_basis_bytes == 0) return ranks;
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Component& a, const Component& b) { return a.value() < b.value(); });
  for (const Component& c : candidates) {
    if (bytes <= max_basis_bytes) break;
    if (left[c.section] == 1) continue;
    --left[c.section];
    --ranks[c.section][c.block];
    bytes -= c.bytes;
  }
  return ranks;
}

}  // namespace kvcast::packager
