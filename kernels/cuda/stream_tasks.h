// The streams of some sections' planes as tasks for warps: which group is whose, which streams go
// together.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/decode_tasks.h"
#include "kernels/fault.h"
#include "kernels/plane/section_planes.h"
#include "kernels/plane/section_shape.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

class StreamTasks {
 public:
  // `offsets`: where each plane lies in the block of planes. Fault: a stream that no decoder could
  // begin.
  Check add(uint32_t section, const SectionShape& shape, const SectionPlanes& planes,
            std::span<const uint64_t> offsets);

  // After the last section.
  void pair_up();

  std::vector<StreamTask> streams;
  std::vector<GroupTask> groups;
  std::vector<EmptyTask> empty_groups;
  std::vector<PairTask> team_pairs, base_pairs;
  std::array<std::vector<PairTask>, kMaxDropBits> pass_pairs;
  std::vector<TeamTask> teams;

 private:
  struct Candidate {
    uint32_t stream, tokens, groups, bytes;
    uint32_t scale_class;  // kNone: several
  };
  Check add_part(uint32_t section, const SectionShape& shape, const SectionPlanes& planes,
                 size_t part, uint64_t plane_offset);
  static std::vector<PairTask> pairs_of(std::vector<Candidate>& candidates);

  std::vector<Candidate> bases_;
  std::array<std::vector<Candidate>, kMaxDropBits> passes_;
};

}  // namespace kvcast::kernels
