// The launches of an encoding's three steps: see kernels/cuda/decode_launches.cuh.
#pragma once

#include <type_traits>

#include "kernels/cuda/encode_plan.h"
#include "kernels/cuda/gather.cuh"
#include "kernels/entropy/decode_kernels.cuh"
#include "kernels/entropy/rans_encode.cuh"
#include "kernels/quantise/choose_classes.cuh"
#include "kernels/rope/tables.cuh"
#include "kernels/transform/forward.cuh"

namespace kvcast::kernels {
namespace {

inline EncodeArguments encode_arguments(const DeviceEncoding::Contents& encoding,
                                        const EncodeMemory& memory) {
  EncodeArguments arguments{};
  arguments.common.profile = memory.profile_dev;
  arguments.common.descriptors = memory.descriptors_dev;
  arguments.common.scratch = memory.scratch_dev;
  arguments.common.errors = reinterpret_cast<uint32_t*>(memory.scratch_dev + encoding.tasks.errors);
  arguments.tasks = encoding.tasks;
  arguments.streams = memory.streams_dev;
  arguments.output = memory.output_dev;
  return arguments;
}

template <DType kType, typename Launcher>
void launch_quantise_of(const EncodeArguments& arguments, Launcher& launcher) {
  const EncodeTasks& tasks = arguments.tasks;
  launcher.run(ClearErrors{arguments.common.errors, tasks.sections.count},
               (tasks.sections.count + ClearErrors::kThreads - 1) / ClearErrors::kThreads);
  if (tasks.ropes.count > 0)
    launcher.run(MakeRopeTables{arguments.common, tasks.ropes}, 4 * uint64_t{tasks.ropes.count});
  if (tasks.channels.tiles > 0) launcher.run(LoadChannels<kType>{arguments}, tasks.channels.tiles);
  if (tasks.blocks.tiles > 0) launcher.run(ForwardTiles{arguments}, tasks.blocks.tiles);
  if (tasks.groups.count > 0) launcher.run(ChooseClasses{arguments}, tasks.groups.count);
}

template <typename Launcher>
void launch_quantise(const DeviceEncoding::Contents& encoding, const EncodeMemory& memory,
                     Launcher& launcher) {
  const EncodeArguments arguments = encode_arguments(encoding, memory);
  switch (encoding.dtype) {
    case DType::kF16:
      return launch_quantise_of<DType::kF16>(arguments, launcher);
    case DType::kF32:
      return launch_quantise_of<DType::kF32>(arguments, launcher);
    default:
      return launch_quantise_of<DType::kBf16>(arguments, launcher);
  }
}

template <typename Launcher>
void launch_code(const DeviceEncoding::Contents& encoding, const EncodeMemory& memory,
                 Launcher& launcher) {
  const EncodeArguments arguments = encode_arguments(encoding, memory);
  const uint64_t streams = arguments.tasks.streams.count;
  if (streams > 0)
    launcher.run(EncodeStreams{arguments},
                 (streams + EncodeStreams::kWarps - 1) / EncodeStreams::kWarps);
}

template <typename Launcher>
void launch_gather(const DeviceEncoding::Contents& encoding, const EncodeMemory& memory,
                   Launcher& launcher) {
  const EncodeArguments arguments = encode_arguments(encoding, memory);
  const EncodeTasks& tasks = arguments.tasks;
  if (tasks.copies.count > 0) launcher.run(GatherPieces{arguments}, tasks.copies.count);
  if (tasks.sink_sections.count == 0) return;
  if (encoding.dtype == DType::kF32) {
    launcher.run(GatherSinks<uint32_t>{arguments}, tasks.sink_sections.count);
  } else {
    launcher.run(GatherSinks<uint16_t>{arguments}, tasks.sink_sections.count);
  }
}

}  // namespace
}  // namespace kvcast::kernels
