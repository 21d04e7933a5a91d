#include "kernels/plane/stream_cut.h"

#include <algorithm>

namespace kvcast::kernels {
namespace {

constexpr double kMaxOverhead = 0.015;  // of a stream's payload

struct Run {
  uint32_t groups = 0;
  double bits = 0;
};

// One run a class, but runs below `least_bits` joined with the next, the last one with the one
// before.
std::vector<Run> runs_of_classes(std::span<const CodedGroup> groups, double least_bits) {
  std::vector<Run> runs;
  for (size_t i = 0; i < groups.size(); ++i) {
    const bool new_class = i > 0 && groups[i].scale_class != groups[i - 1].scale_class;
    if (runs.empty() || (new_class && runs.back().bits >= least_bits)) runs.emplace_back();
    ++runs.back().groups;
    runs.back().bits += groups[i].bits;
  }
  if (runs.size() > 1 && runs.back().bits < least_bits) {
    const Run last = runs.back();
    runs.pop_back();
    runs.back().groups += last.groups;
    runs.back().bits += last.bits;
  }
  return runs;
}

void cut_evenly(std::span<const CodedGroup> run, double bits, uint32_t streams,
                std::vector<uint32_t>& cuts) {
  double seen = 0;
  size_t next = 0;
  for (uint32_t stream = 1; stream <= streams; ++stream) {
    const size_t begin = next;
    const size_t last_end = run.size() - (streams - stream);  // leaves the others a group each
    do {
      seen += run[next++].bits;
    } while (next < last_end &&
             (stream == streams || seen + run[next].bits / 2 < bits * stream / streams));
    cuts.push_back(static_cast<uint32_t>(next - begin));
  }
}

}  // namespace

std::vector<uint32_t> cut_streams(std::span<const CodedGroup> groups, size_t overhead_bytes) {
  const double least_bits = static_cast<double>(8 * overhead_bytes) / kMaxOverhead;
  std::vector<uint32_t> cuts;
  size_t begin = 0;
  for (const Run& run : runs_of_classes(groups, least_bits)) {
    const auto affordable =
        static_cast<uint32_t>(std::min<double>(run.groups, run.bits / least_bits));
    const uint32_t streams = affordable >= 4 ? affordable / 4 * 4 : 1;
    cut_evenly(groups.subspan(begin, run.groups), run.bits, streams, cuts);
    begin += run.groups;
  }
  return cuts;
}

}  // namespace kvcast::kernels
