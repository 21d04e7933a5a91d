// The launches of a plan, in order, for whoever launches: CUDA, or the emulation. A launcher has
//     void run(const Kernel& kernel, uint64_t blocks)    what `blocks` blocks of it would do at
//     once
#pragma once

#include "kernels/cuda/decode_plan.h"
#include "kernels/entropy/decode_kernels.cuh"
#include "kernels/rope/tables.cuh"
#include "kernels/transform/inverse_elements.cuh"
#include "kernels/transform/inverse_rows.cuh"
#include "kernels/transform/inverse_tiles.cuh"

namespace kvcast::kernels {
namespace {

constexpr uint64_t blocks_for(uint64_t tasks, uint64_t tasks_of_a_block) {
  return (tasks + tasks_of_a_block - 1) / tasks_of_a_block;
}

template <typename Launcher>
void launch_entropy(const DecodeTasks& tasks, const DecodeArguments& arguments,
                    Launcher& launcher) {
  launcher.run(ClearErrors{arguments.errors, tasks.sections.count},
               blocks_for(tasks.sections.count, ClearErrors::kThreads));
  if (tasks.empty_groups.count > 0) {
    launcher.run(ClearEmptyGroups{arguments, tasks.empty_groups},
                 blocks_for(tasks.empty_groups.count, ClearEmptyGroups::kThreads / kWarpLanes));
  }
  if (tasks.teams.count > 0)
    launcher.run(DecodeBaseTeams{arguments, tasks.teams, tasks.team_pairs}, tasks.teams.count);
  if (tasks.base_pairs.count > 0) {
    launcher.run(DecodeBases{arguments, tasks.base_pairs},
                 blocks_for(tasks.base_pairs.count, kDecodeWarps));
  }
  for (const TaskList<PairTask>& pairs : tasks.pass_pairs) {
    if (pairs.count > 0)
      launcher.run(RefinePass{arguments, pairs}, blocks_for(pairs.count, kDecodeWarps));
  }
  if (tasks.outlier_sections.count > 0) {
    launcher.run(PlaceOutliers{arguments, tasks.outlier_sections}, tasks.outlier_sections.count);
  }
}

template <DType kType, typename Launcher>
void launch_finish(const DecodeTasks& tasks, const DecodeArguments& arguments, Launcher& launcher) {
  if (tasks.ropes.count > 0)
    launcher.run(MakeRopeTables{arguments, tasks.ropes}, 4 * uint64_t{tasks.ropes.count});
  if (tasks.rows.tiles > 0)
    launcher.run(FinishRows<kType>{arguments, tasks.rows}, tasks.rows.tiles);
  if (tasks.tiles.tiles > 0)
    launcher.run(FinishTiles<kType>{arguments, tasks.tiles}, tasks.tiles.tiles);
  if (tasks.elements.tiles > 0)
    launcher.run(FinishElements<kType>{arguments, tasks.elements}, tasks.elements.tiles);
  using Element = std::conditional_t<kType == DType::kF32, uint32_t, uint16_t>;
  if (tasks.sink_sections.count > 0)
    launcher.run(CopySinks<Element>{arguments, tasks.sink_sections}, tasks.sink_sections.count);
}

// The descriptors are in the scratch by then.
template <typename Launcher>
void launch_decode(const DecodePlan::Contents& plan, const DecodeMemory& memory,
                   Launcher& launcher) {
  const DecodeTasks& tasks = plan.tasks;
  if (tasks.sections.count == 0) return;
  const DecodeArguments arguments{memory.profile_dev, memory.planes_dev,
                                  plan.planes_bytes,  memory.scratch_dev + plan.descriptors_offset,
                                  memory.scratch_dev, memory.errors_dev,
                                  tasks.sections,     tasks.streams,
                                  tasks.groups};
  launch_entropy(tasks, arguments, launcher);
  switch (plan.dtype) {
    case DType::kF16:
      return launch_finish<DType::kF16>(tasks, arguments, launcher);
    case DType::kF32:
      return launch_finish<DType::kF32>(tasks, arguments, launcher);
    default:
      return launch_finish<DType::kBf16>(tasks, arguments, launcher);
  }
}

}  // namespace
}  // namespace kvcast::kernels
