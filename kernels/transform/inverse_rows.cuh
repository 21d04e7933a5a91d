// Coefficients of a section without a transform, in the order of its channels, to the engine's
// tensor: a thread takes eight dims of a token. Host code sees to it (kernels/cuda/decode_plan.cc)
// that rows and heads are multiples of eight long, and RoPE's dims begin and end at such.
#pragma once

#include "kernels/cuda/destination.cuh"
#include "kernels/transform/inverse_elements.cuh"

namespace kvcast::kernels {
namespace {

template <DType kType>
struct FinishRows {
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
      const uint32_t first_token = in_task / task.tiles_across * kRowTokens;
      const uint32_t first_chunk = in_task % task.tiles_across * kRowChunks;
      for (uint32_t i = thread_index(); i < kRowTokens * kRowChunks; i += kThreads) {
        const uint32_t token = first_token + i / kRowChunks;
        const uint32_t channel = (first_chunk + i % kRowChunks) * 8;
        if (token < section.tokens && channel < section.row) finish(section, token, channel);
      }
    }
  }

  // Eight channels before RoPE.
  KVCAST_DEVICE void load(const SectionImage& image, const uint16_t* row, uint32_t channel,
                          float (&x)[8]) const {
    const Bytes16 coefficients = *reinterpret_cast<const Bytes16*>(row + channel);
    const float* const scale = at<float>(arguments.profile, image.scale) + channel;
    const float* const mean = at<float>(arguments.profile, image.mean) + channel;
    KVCAST_UNROLL
    for (uint32_t i = 0; i < 8; ++i) {
      const uint32_t word = coefficients.word[i / 2];
      x[i] = fuse(scale[i], float_of(i % 2 == 0 ? word << 16 : word & 0xFFFF0000), mean[i]);
    }
  }

  KVCAST_DEVICE void finish(const DecodeSection& section, uint32_t token, uint32_t channel) const {
    const SectionImage& image = arguments.image(section);
    const uint16_t* const row = arguments.coefficients(section) + size_t{token} * section.row;
    const uint32_t layer = channel / image.channels, in_layer = channel % image.channels;
    const uint32_t head = in_layer / image.dim, dim = in_layer % image.dim;
    const LayerTask& task = layer_of(arguments, section, layer);
    float x[8];
    load(image, row, channel, x);
    if (task.rope != kNone) {
      const RopeImage& rope = rope_image(arguments, task.rope);
      const RopePair pair(rope, dim);
      if (pair.rotates) {
        const float* const angles = at<float>(arguments.scratch, task.rope_table) +
                                    (uint64_t{token} * rope.pairs + pair.index) * 2;
        if (rope.interleaved) {
          turn_neighbours(angles, rope.scaling, x);
        } else {
          float other[8];
          load(image, row, channel - dim + pair.other, other);
          KVCAST_UNROLL
          for (uint32_t i = 0; i < 8; ++i)
            x[i] = turned(x[i], other[i], angles + 2 * i, pair.is_second, rope.scaling);
        }
      }
    }
    const uint32_t slot = section.first_slot + section.sink_tokens + token;
    store_eight<kType>(place_of(arguments, section, layer, slot, head) + dim * dtype_bytes(kType),
                       x, section.aligned != 0);
  }

  KVCAST_DEVICE static void turn_neighbours(const float* angles, float scaling, float (&x)[8]) {
    KVCAST_UNROLL
    for (uint32_t i = 0; i < 8; i += 2) {
      const float first = x[i], second = x[i + 1];
      x[i] = turned(first, second, angles + i, false, scaling);
      x[i + 1] = turned(second, first, angles + i, true, scaling);
    }
  }
};

}  // namespace
}  // namespace kvcast::kernels
