// Angles of a chunk's tokens on a device: what RopeAngles (kernels/rope.h) computes, bit for bit.
#pragma once

#include "kernels/cuda/arguments.cuh"

namespace kvcast::kernels {
namespace {

struct MakeRopeTables {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = 0;
  DecodeArguments arguments;
  TaskList<RopeTask> tables;

  KVCAST_DEVICE void operator()() const {
    for (uint32_t i = 0; i < tables.count; ++i) {
      const RopeTask& task = arguments.list(tables)[i];
      const RopeImage& rope = at<RopeImage>(
          arguments.profile, at<ProfileImage>(arguments.profile, 0)->ropes)[task.rope];
      const uint64_t angles = uint64_t{task.tokens} * rope.pairs;
      for (uint64_t a = uint64_t{block_index()} * kThreads + thread_index(); a < angles;
           a += uint64_t{block_count()} * kThreads) {
        const auto pair = static_cast<uint32_t>(a % rope.pairs);
        make(rope, pair, task.first_position + a / rope.pairs,
             at<float>(arguments.scratch, task.table) + 2 * a);
      }
    }
  }

  KVCAST_DEVICE void make(const RopeImage& rope, uint32_t pair, uint64_t position,
                          float* to) const {
    double c = 1, s = 0;
    for (uint32_t part = kRopeParts; part-- > 0;) {
      const auto digit =
          static_cast<uint32_t>(position >> (part * kRopeDigitBits)) & (kRopeDigits - 1);
      const double* const power = at<double>(arguments.profile, rope.powers) +
                                  ((uint64_t{part} * rope.pairs + pair) * kRopeDigits + digit) * 2;
      const double next = subtract(multiply(c, power[0]), multiply(s, power[1]));
      s = add(multiply(c, power[1]), multiply(s, power[0]));
      c = next;
    }
    to[0] = to_float(c);
    to[1] = to_float(s);
  }
};

}  // namespace
}  // namespace kvcast::kernels
