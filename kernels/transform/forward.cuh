// From the engine's tensor to coefficients on a device: kernels/plane_format.md, section 1, steps 1
// to 4, in the order of operations that every encoder keeps, so that sections come out the same.
#pragma once

#include "kernels/cuda/encode_arguments.cuh"
#include "kernels/transform/inverse_elements.cuh"

namespace kvcast::kernels {
namespace {

template <DType kType>
KVCAST_DEVICE float load_element(const std::byte* from) {
  if constexpr (kType == DType::kF32) {
    return *reinterpret_cast<const float*>(from);
  } else {
    const uint32_t bits = *reinterpret_cast<const uint16_t*>(from);
    if constexpr (kType == DType::kBf16) return float_of(bits << 16);
    const uint32_t sign = (bits & 0x8000) << 16, magnitude = (bits & 0x7FFF) << 13;
    if (magnitude >= 0x0F800000) return float_of(sign | (magnitude + 0x70000000));
    if (magnitude >= 0x00800000) return float_of(sign | (magnitude + 0x38000000));
    return float_of(sign | bits_of(subtract(float_of(magnitude + 0x38800000), 0x1p-14f)));
  }
}

KVCAST_DEVICE bool is_finite(float x) {
  return (bits_of(x) & 0x7F800000) != 0x7F800000;
}

// Where coded position `position` of a token is.
KVCAST_DEVICE float& value_at(const EncodeArguments& arguments, const EncodeSection& section,
                              uint32_t position, uint32_t token) {
  const uint32_t group = position / kWarpLanes, first = group * kWarpLanes;
  const uint32_t left = section.place.row - first;
  const uint32_t lanes = left < kWarpLanes ? left : kWarpLanes;
  return arguments.values(section, group)[size_t{token} * lanes + (position - first)];
}

// RoPE undone and normalised: to channels, or where there is no transform to their coded places.
template <DType kType>
struct LoadChannels {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = 0;
  EncodeArguments arguments;

  KVCAST_DEVICE void operator()() const {
    const TaskList<FinishTask>& tasks = arguments.tasks.channels;
    const FinishTask* const list = arguments.common.list(tasks);
    for (uint32_t tile = block_index(); tile < tasks.tiles; tile += block_count()) {
      const FinishTask& task = list[find_task(list, tasks.count, tile)];
      const EncodeSection& section = arguments.section(task.section);
      const uint32_t in_task = tile - task.first_tile;
      const uint32_t first_token = in_task / task.tiles_across * kElementTokens;
      const uint32_t first_channel = in_task % task.tiles_across * kElementChannels;
      const SectionImage& image = arguments.common.image(section.place);
      for (uint32_t i = thread_index(); i < kElementTokens * kElementChannels; i += kThreads) {
        const uint32_t token = first_token + i / kElementChannels;
        const uint32_t channel = first_channel + i % kElementChannels;
        if (token < section.place.sink_tokens + section.place.tokens && channel < image.width)
          load(section, image, token, channel, task.section);
      }
    }
  }

  // `token` of the chunk; sinks are only looked at.
  KVCAST_DEVICE void load(const EncodeSection& section, const SectionImage& image, uint32_t token,
                          uint32_t channel, uint32_t index) const {
    const DecodeArguments& common = arguments.common;
    const uint32_t layer = channel / image.channels, in_layer = channel % image.channels;
    const uint32_t head = in_layer / image.dim, dim = in_layer % image.dim;
    const std::byte* const from =
        place_of(common, section.place, layer, section.place.first_slot + token, head);
    float x = load_element<kType>(from + dim * dtype_bytes(kType));
    if (!is_finite(x)) atomic_or(&common.errors[index], kEncodeNotFinite);
    if (token < section.place.sink_tokens) return;
    const uint32_t coded = token - section.place.sink_tokens;
    const LayerTask& task = layer_of(common, section.place, layer);
    if (task.rope != kNone) {
      const RopeImage& rope = rope_image(common, task.rope);
      const RopePair pair(rope, dim);
      if (pair.rotates) {
        const float* const angle = at<float>(common.scratch, task.rope_table) +
                                   (uint64_t{coded} * rope.pairs + pair.index) * 2;
        const float back[2] = {angle[0], -angle[1]};
        x = turned(x, load_element<kType>(from + pair.other * dtype_bytes(kType)), back,
                   pair.is_second, rope.unscaling);
      }
    }
    const float u = multiply(subtract(x, at<float>(common.profile, image.mean)[channel]),
                             divide(1, at<float>(common.profile, image.scale)[channel]));
    if (section.block_count > 0) {
      at<float>(common.scratch, section.channels)[size_t{coded} * image.width + channel] = u;
      return;
    }
    if (!is_finite(u)) atomic_or(&common.errors[index], kEncodeOverflow);
    value_at(arguments, section, at<uint32_t>(common.profile, image.position)[channel], coded) = u;
  }
};

// Components of a block: each sum runs over the channels in ascending order, one rounding an
// operation, as ColumnKernels::multiply says. A thread has four components of four tokens.
struct ForwardTiles {
  static constexpr uint32_t kDepth = 16;  // channels at a time
  struct Memory {
    float channels[kDepth][kForwardTokens + 4];
    float basis[kDepth][kForwardRows + 4];
  };
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = sizeof(Memory);
  EncodeArguments arguments;

  KVCAST_DEVICE void operator()() const {
    const TaskList<FinishTask>& tasks = arguments.tasks.blocks;
    const FinishTask* const list = arguments.common.list(tasks);
    for (uint32_t tile = block_index(); tile < tasks.tiles; tile += block_count()) {
      const FinishTask& task = list[find_task(list, tasks.count, tile)];
      const EncodeSection& section = arguments.section(task.section);
      const EncodeBlockImage& block =
          at<EncodeBlockImage>(arguments.common.profile, section.blocks)[task.block];
      const uint32_t in_task = tile - task.first_tile;
      multiply_tile(task.section, section, block, in_task / task.tiles_across * kForwardTokens,
                    in_task % task.tiles_across * kForwardRows);
    }
  }

  KVCAST_DEVICE void multiply_tile(uint32_t index, const EncodeSection& section,
                                   const EncodeBlockImage& block, uint32_t first_token,
                                   uint32_t first_row) const {
    auto& memory = *reinterpret_cast<Memory*>(shared_memory());
    const uint32_t tokens = thread_index() % 16 * 4, rows = thread_index() / 16 * 4;
    float sums[4][4] = {};
    for (uint32_t first = 0; first < block.width; first += kDepth) {
      load(section, block, first_token, first_row, first, memory);
      sync_block();
      for (uint32_t c = 0; c < kDepth; ++c) {
        KVCAST_UNROLL
        for (uint32_t r = 0; r < 4; ++r) {
          KVCAST_UNROLL
          for (uint32_t t = 0; t < 4; ++t) {
            sums[r][t] = add(sums[r][t],
                             multiply(memory.basis[c][rows + r], memory.channels[c][tokens + t]));
          }
        }
      }
      sync_block();
    }
    const uint32_t* const positions = at<uint32_t>(arguments.common.profile, block.positions);
    KVCAST_UNROLL
    for (uint32_t r = 0; r < 4; ++r) {
      const uint32_t row = first_row + rows + r;
      KVCAST_UNROLL
      for (uint32_t t = 0; t < 4; ++t) {
        const uint32_t token = first_token + tokens + t;
        if (row >= block.rank || token >= section.place.tokens) continue;
        if (!is_finite(sums[r][t])) atomic_or(&arguments.common.errors[index], kEncodeOverflow);
        value_at(arguments, section, positions[row], token) = sums[r][t];
      }
    }
  }

  KVCAST_DEVICE void load(const EncodeSection& section, const EncodeBlockImage& block,
                          uint32_t first_token, uint32_t first_row, uint32_t first,
                          Memory& memory) const {
    const uint32_t width = arguments.common.image(section.place).width;
    const float* const channels =
        at<float>(arguments.common.scratch, section.channels) + block.first_channel;
    const float* const basis = at<float>(arguments.common.profile, block.basis);
    for (uint32_t i = thread_index(); i < kForwardTokens * kDepth; i += kThreads) {
      const uint32_t of_tile = i / kDepth, c = i % kDepth, channel = first + c;
      const uint32_t token = first_token + of_tile, row = first_row + of_tile;
      const bool there = channel < block.width;
      memory.channels[c][of_tile] =
          there && token < section.place.tokens ? channels[size_t{token} * width + channel] : 0.0f;
      memory.basis[c][of_tile] =
          there && row < block.rank ? basis[size_t{row} * block.width + channel] : 0.0f;
    }
  }
  static_assert(kForwardTokens == kForwardRows && kForwardTokens * kForwardRows == 16 * kThreads);
};

}  // namespace
}  // namespace kvcast::kernels
