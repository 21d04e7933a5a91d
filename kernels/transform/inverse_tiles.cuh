// A block of the inverse transform on tensor cores, fused with mean, scale, RoPE, conversion and
// scatter: a block of threads computes kTileTokens tokens of up to kTileChannels channels, whole
// heads where keys are turned. Products are of bf16, sums fp32. Host code sees to it
// (kernels/cuda/decode_plan.cc) that heads are multiples of eight dims and fit.
#pragma once

#include "kernels/cuda/destination.cuh"
#include "kernels/transform/inverse_elements.cuh"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kTileDepth = kRankPadding;  // components at a time
constexpr uint32_t kTileStages = 3;
constexpr uint32_t kTileRow = kTileDepth + 8;       // elements: rows of ldmatrix in all banks
constexpr uint32_t kResultRow = kTileChannels + 4;  // floats

template <DType kType>
struct FinishTiles {
  struct Stage {
    uint16_t coefficients[kTileTokens][kTileRow];
    uint16_t basis[kTileChannels][kTileRow];
  };
  union Memory {
    Stage stages[kTileStages];
    float results[kTileTokens][kResultRow];
  };
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 2;
  static constexpr size_t kSharedBytes = sizeof(Memory);
  // Each warp has 32 tokens by 64 channels of the tile.
  static constexpr uint32_t kWarpTokens = 32, kWarpChannels = 64;

  DecodeArguments arguments;
  TaskList<FinishTask> tasks;

  struct Tile {
    const DecodeSection& section;
    const SectionImage& image;
    const BlockImage& block;
    const uint16_t* coefficients;                   // of the section
    uint32_t first_token, first_channel, channels;  // channels: of the block
  };

  KVCAST_DEVICE void operator()() const {
    const FinishTask* const list = arguments.list(tasks);
    for (uint32_t index = block_index(); index < tasks.tiles; index += block_count()) {
      const FinishTask& task = list[find_task(list, tasks.count, index)];
      if (arguments.errors[task.section] != 0) continue;
      const DecodeSection& section = arguments.section(task.section);
      const SectionImage& image = arguments.image(section);
      const BlockImage& block = at<BlockImage>(arguments.profile, image.block_images)[task.block];
      const uint32_t in_task = index - task.first_tile;
      const uint32_t across = channels_of_tile(task.whole_heads != 0, image.dim);
      const uint32_t first_channel = in_task % task.tiles_across * across;
      const uint32_t left = block.width - first_channel;
      finish({section, image, block, arguments.coefficients(section),
              in_task / task.tiles_across * kTileTokens, first_channel,
              left < across ? left : across});
    }
  }

  KVCAST_DEVICE void finish(const Tile& tile) const {
    auto& memory = *reinterpret_cast<Memory*>(shared_memory());
    float sums[2][8][4] = {};
    const uint32_t depths = tile.block.padded_rank / kTileDepth;
    for (uint32_t depth = 0; depth < kTileStages - 1; ++depth) {
      if (depth < depths) load(tile, depth, memory.stages[depth]);
      end_batch();
    }
    for (uint32_t depth = 0; depth < depths; ++depth) {
      wait_for_batches<kTileStages - 2>();
      sync_block();
      const uint32_t ahead = depth + kTileStages - 1;
      if (ahead < depths) load(tile, ahead, memory.stages[ahead % kTileStages]);
      end_batch();
      add_products(memory.stages[depth % kTileStages], sums);
    }
    wait_for_batches<0>();
    sync_block();  // every warp has read the last stage
    keep(tile, sums, memory);
    sync_block();
    scatter(tile, memory);
    sync_block();
  }

  // Components [depth * kTileDepth, +kTileDepth) of the tile's tokens and channels.
  KVCAST_DEVICE void load(const Tile& tile, uint32_t depth, Stage& stage) const {
    constexpr uint32_t kChunks = kTileDepth / 8;
    const BlockImage& block = tile.block;
    const uint32_t first = depth * kTileDepth;
    const uint16_t* const basis = at<uint16_t>(arguments.profile, block.basis) + first;
    for (uint32_t i = thread_index(); i < kTileChannels * kChunks; i += kThreads) {
      const uint32_t channel = i / kChunks, k = i % kChunks * 8;
      const bool there = channel < tile.channels;
      const uint64_t row = tile.first_channel + (there ? channel : 0);
      copy_ahead(&stage.basis[channel][k], basis + row * block.padded_rank + k, there ? 16 : 0);
    }
    const uint32_t row = tile.section.row;
    const bool in_chunks = block.first_position % 8 == 0 && row % 8 == 0;
    for (uint32_t i = thread_index(); i < kTileTokens * kChunks; i += kThreads) {
      const uint32_t token = i / kChunks, k = i % kChunks * 8;
      const uint32_t of_section = tile.first_token + token;
      uint32_t count = first + k < block.rank ? block.rank - (first + k) : 0;
      count = of_section < tile.section.tokens ? count < 8 ? count : 8 : 0;
      const uint16_t* const from = tile.coefficients + size_t{count > 0 ? of_section : 0} * row;
      uint16_t* const to = &stage.coefficients[token][k];
      if (in_chunks) {
        copy_ahead(to, count > 0 ? from + block.first_position + first + k : from, 2 * count);
      } else {
        const uint32_t* const positions = at<uint32_t>(arguments.profile, block.positions);
        for (uint32_t j = 0; j < 8; ++j)
          to[j] = j < count ? from[positions[first + k + j]] : uint16_t{0};
      }
    }
  }

  KVCAST_DEVICE static void add_products(const Stage& stage, float (&sums)[2][8][4]) {
    const uint32_t lane = lane_index();
    const uint32_t first_token = warp_index() / 2 * kWarpTokens;
    const uint32_t first_channel = warp_index() % 2 * kWarpChannels;
    KVCAST_UNROLL
    for (uint32_t k = 0; k < kTileDepth; k += 16) {
      // Matrices of A: rows 0-7 and 8-15 of columns 0-7, then of 8-15.
      uint32_t a[2][4];
      KVCAST_UNROLL
      for (uint32_t m = 0; m < 2; ++m)
        ldmatrix(a[m], &stage.coefficients[first_token + 16 * m + lane % 16][k + lane / 16 * 8]);
      KVCAST_UNROLL
      for (uint32_t n = 0; n < 8; n += 2) {
        // Of B: components 0-7 and 8-15 of eight channels, then of the next eight.
        uint32_t b[4];
        ldmatrix(
            b,
            &stage.basis[first_channel + 8 * n + lane / 16 * 8 + lane % 8][k + lane / 8 % 2 * 8]);
        KVCAST_UNROLL
        for (uint32_t m = 0; m < 2; ++m) {
          mma(sums[m][n], a[m], b[0], b[1]);
          mma(sums[m][n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  // Channels before RoPE, to shared memory.
  KVCAST_DEVICE void keep(const Tile& tile, const float (&sums)[2][8][4], Memory& memory) const {
    const uint32_t lane = lane_index();
    const uint32_t first_token = warp_index() / 2 * kWarpTokens + lane / 4;
    const uint32_t first_channel = warp_index() % 2 * kWarpChannels + lane % 4 * 2;
    const uint32_t of_section = tile.block.first_channel + tile.first_channel;
    const float* const scale = at<float>(arguments.profile, tile.image.scale) + of_section;
    const float* const mean = at<float>(arguments.profile, tile.image.mean) + of_section;
    KVCAST_UNROLL
    for (uint32_t n = 0; n < 8; ++n) {
      KVCAST_UNROLL
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t channel = first_channel + 8 * n + i;
        const bool there = channel < tile.channels;
        const float factor = there ? scale[channel] : 0, shift = there ? mean[channel] : 0;
        KVCAST_UNROLL
        for (uint32_t m = 0; m < 2; ++m) {
          memory.results[first_token + 16 * m][channel] = fuse(factor, sums[m][n][i], shift);
          memory.results[first_token + 16 * m + 8][channel] =
              fuse(factor, sums[m][n][i + 2], shift);
        }
      }
    }
  }

  KVCAST_DEVICE void scatter(const Tile& tile, const Memory& memory) const {
    const uint32_t chunks = tile.channels / 8;
    for (uint32_t i = thread_index(); i < kTileTokens * chunks; i += kThreads) {
      const uint32_t in_tile = i / chunks, chunk = i % chunks * 8;
      const uint32_t token = tile.first_token + in_tile;
      if (token < tile.section.tokens) scatter_eight(tile, token, chunk, memory.results[in_tile]);
    }
  }

  KVCAST_DEVICE void scatter_eight(const Tile& tile, uint32_t token, uint32_t chunk,
                                   const float* row) const {
    const SectionImage& image = tile.image;
    const uint32_t channel = tile.block.first_channel + tile.first_channel + chunk;
    const uint32_t layer = channel / image.channels, in_layer = channel % image.channels;
    const uint32_t head = in_layer / image.dim, dim = in_layer % image.dim;
    const LayerTask& task = layer_of(arguments, tile.section, layer);
    float x[8];
    KVCAST_UNROLL
    for (uint32_t i = 0; i < 8; ++i) x[i] = row[chunk + i];
    if (task.rope != kNone) {
      const RopeImage& rope = rope_image(arguments, task.rope);
      const float* const angles =
          at<float>(arguments.scratch, task.rope_table) + uint64_t{token} * rope.pairs * 2;
      KVCAST_UNROLL
      for (uint32_t i = 0; i < 8; ++i) {
        const RopePair pair(rope, dim + i);
        if (pair.rotates) {
          x[i] = turned(row[chunk + i], row[chunk - dim + pair.other], angles + 2 * pair.index,
                        pair.is_second, rope.scaling);
        }
      }
    }
    const uint32_t slot = tile.section.first_slot + tile.section.sink_tokens + token;
    store_eight<kType>(
        place_of(arguments, tile.section, layer, slot, head) + dim * dtype_bytes(kType), x,
        tile.section.aligned != 0);
  }
};

}  // namespace
}  // namespace kvcast::kernels
