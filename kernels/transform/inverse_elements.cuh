// Coefficients to the engine's tensor, whatever the geometry: a thread an element, its sum over the
// block's components in fp32. For what kernels/transform/inverse_rows.cuh and inverse_tiles.cuh do
// not take.
#pragma once

#include "kernels/cuda/destination.cuh"

namespace kvcast::kernels {
namespace {

KVCAST_DEVICE float coefficient_at(const uint16_t* row, uint32_t position) {
  return float_of(uint32_t{row[position]} << 16);
}

// A channel of the section before RoPE; `row`: its token's coefficients.
KVCAST_DEVICE float channel_value(const std::byte* profile, const SectionImage& image,
                                  const uint16_t* row, uint32_t channel) {
  float u = 0;
  if (image.blocks == 0) {
    u = coefficient_at(row, at<uint32_t>(profile, image.position)[channel]);
  } else {
    const uint32_t b = at<uint32_t>(profile, image.block_of_channel)[channel];
    const BlockImage& block = at<BlockImage>(profile, image.block_images)[b];
    const uint32_t* const positions = at<uint32_t>(profile, block.positions);
    const uint16_t* const basis = at<uint16_t>(profile, block.basis) +
                                  uint64_t{channel - block.first_channel} * block.padded_rank;
    for (uint32_t k = 0; k < block.rank; ++k)
      u = fuse(coefficient_at(row, positions[k]), coefficient_at(basis, k), u);
  }
  return fuse(at<float>(profile, image.scale)[channel], u, at<float>(profile, image.mean)[channel]);
}

// The task that a tile belongs to.
KVCAST_DEVICE uint32_t find_task(const FinishTask* tasks, uint32_t count, uint32_t tile) {
  uint32_t first = 0;
  while (count > 1) {
    const uint32_t half = count / 2;
    const bool later = tasks[first + half].first_tile <= tile;
    first = later ? first + half : first;
    count = later ? count - half : half;
  }
  return first;
}

template <DType kType>
struct FinishElements {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = 0;
  DecodeArguments arguments;
  TaskList<FinishTask> tasks;

  KVCAST_DEVICE void operator()() const {
    const FinishTask* const list = arguments.list(tasks);
    for (uint32_t tile = block_index(); tile < tasks.tiles; tile += block_count()) {
      const FinishTask& task = list[find_task(list, tasks.count, tile)];
      const DecodeSection& section = arguments.section(task.section);
      if (arguments.errors[task.section] != 0) continue;
      const uint32_t in_task = tile - task.first_tile;
      const uint32_t first_token = in_task / task.tiles_across * kElementTokens;
      const uint32_t first_channel = in_task % task.tiles_across * kElementChannels;
      for (uint32_t i = thread_index(); i < kElementTokens * kElementChannels; i += kThreads) {
        const uint32_t token = first_token + i / kElementChannels;
        const uint32_t channel = first_channel + i % kElementChannels;
        if (token < section.tokens && channel < arguments.image(section).width)
          finish(section, token, channel);
      }
    }
  }

  KVCAST_DEVICE void finish(const DecodeSection& section, uint32_t token, uint32_t channel) const {
    const SectionImage& image = arguments.image(section);
    const uint16_t* const row = arguments.coefficients(section) + size_t{token} * section.row;
    const uint32_t layer = channel / image.channels, in_layer = channel % image.channels;
    const uint32_t head = in_layer / image.dim, dim = in_layer % image.dim;
    const LayerTask& task = layer_of(arguments, section, layer);
    float x = channel_value(arguments.profile, image, row, channel);
    if (task.rope != kNone) {
      const RopeImage& rope = rope_image(arguments, task.rope);
      const RopePair pair(rope, dim);
      if (pair.rotates) {
        const float other =
            channel_value(arguments.profile, image, row, channel - dim + pair.other);
        const float* const angle = at<float>(arguments.scratch, task.rope_table) +
                                   (uint64_t{token} * rope.pairs + pair.index) * 2;
        x = turned(x, other, angle, pair.is_second, rope.scaling);
      }
    }
    const uint32_t slot = section.first_slot + section.sink_tokens + token;
    store_element<kType>(place_of(arguments, section, layer, slot, head) + dim * dtype_bytes(kType),
                         x);
  }
};

// Sink tokens, as they are: a block a section.
template <typename Element>
struct CopySinks {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = 0;
  DecodeArguments arguments;
  TaskList<uint32_t> sink_sections;

  KVCAST_DEVICE void operator()() const {
    for (uint32_t i = block_index(); i < sink_sections.count; i += block_count()) {
      const DecodeSection& section = arguments.section(arguments.list(sink_sections)[i]);
      const SectionImage& image = arguments.image(section);
      const Element* const from = at<Element>(arguments.planes, section.sinks);
      const uint32_t count = section.sink_tokens * image.width;
      for (uint32_t e = thread_index(); e < count; e += kThreads) {
        const uint32_t channel = e % image.channels, row = e / image.channels;
        const uint32_t layer = row / section.sink_tokens;
        const uint32_t slot = section.first_slot + row % section.sink_tokens;
        std::byte* const head = place_of(arguments, section, layer, slot, channel / image.dim);
        reinterpret_cast<Element*>(head)[channel % image.dim] = from[e];
      }
    }
  }
};

}  // namespace
}  // namespace kvcast::kernels
