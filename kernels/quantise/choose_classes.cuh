// For each channel group the class that codes it cheapest, and what that costs in bits and in
// error: what choose_class() (kernels/plane/class_choice.h) and encode_section() compute, bit for
// bit. A block of threads a group.
#pragma once

#include "kernels/cuda/encode_arguments.cuh"
#include "kernels/quantise/reconstruct.cuh"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kNearValues = 512;  // finest values -kNearValues to kNearValues - 1 have counts
constexpr int32_t kNearSymbols = kMaxAlphabet / 2 - 1;

// SymbolCounts.
struct GroupCounts {
  uint32_t near[2 * kNearSymbols + 1];
  uint32_t far, wide;
  uint32_t passes[kMaxDropBits][3][3];
};

KVCAST_DEVICE double costs(uint32_t count, float bits_each) {
  return count == 0 ? 0 : multiply(static_cast<double>(count), static_cast<double>(bits_each));
}

KVCAST_DEVICE bool base_is_zero(const GroupCounts& counts) {
  uint32_t others = counts.far;
  for (int32_t value = 1; value <= kNearSymbols; ++value)
    others |= counts.near[kNearSymbols + value] | counts.near[kNearSymbols - value];
  return others == 0;
}
KVCAST_DEVICE bool pass_is_zero(const GroupCounts& counts, uint32_t pass) {
  uint32_t others = 0;
  for (uint32_t context = 0; context < 3; ++context)
    others |= counts.passes[pass][context][1] | counts.passes[pass][context][2];
  return others == 0;
}

KVCAST_DEVICE uint32_t count_escapes(const GroupCounts& counts, int32_t largest) {
  uint32_t escapes = counts.far;
  for (int32_t value = largest + 1; value <= kNearSymbols; ++value)
    escapes += counts.near[kNearSymbols + value] + counts.near[kNearSymbols - value];
  return escapes;
}

KVCAST_DEVICE double bits_of_base(const EncodeClassImage& image, const GroupCounts& counts) {
  const auto largest = static_cast<int32_t>(image.alphabet / 2) - 1;
  double bits = costs(count_escapes(counts, largest),
                      add(image.base_bits[image.alphabet - 1], counts.wide ? 32.0f : 16.0f));
  for (int32_t value = -largest; value <= largest; ++value)
    bits = add(bits, costs(counts.near[kNearSymbols + value], image.base_bits[value + largest]));
  return bits;
}
KVCAST_DEVICE double bits_of_pass(const EncodeClassImage& image, const GroupCounts& counts,
                                  uint32_t pass) {
  double bits = 0;
  for (uint32_t context = 0; context < 3; ++context) {
    for (uint32_t symbol = 0; symbol < 3; ++symbol)
      bits = add(bits, costs(counts.passes[pass][context][symbol],
                             image.pass_bits[pass][context][symbol]));
  }
  return bits;
}

struct ChooseClasses {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 4;
  struct Memory {
    double bits[kMaxClasses];
    double errors[kMaxLevels][kWarpLanes], energy[kWarpLanes];
    uint32_t near[2 * kNearValues];
    GroupCounts counts;
    uint32_t choice;
  };
  static constexpr size_t kSharedBytes = sizeof(Memory);
  static_assert(kMaxLevels <= kThreads / kWarpLanes && kMaxClasses <= kThreads);
  EncodeArguments arguments;

  KVCAST_DEVICE void operator()() const {
    auto& memory = *reinterpret_cast<Memory*>(shared_memory());
    const TaskList<EmptyTask>& groups = arguments.tasks.groups;
    for (uint32_t i = block_index(); i < groups.count; i += block_count()) {
      const EmptyTask& group = arguments.common.list(groups)[i];
      const EncodeSection& section = arguments.section(group.section);
      GroupReport& report = at<GroupReport>(arguments.common.scratch, arguments.tasks.reports)[i];
      count(section, group, memory);
      choose(section, memory);
      measure(section, group, memory);
      if (thread_index() == 0) fill(section, memory, report);
      sync_block();
    }
  }

  KVCAST_DEVICE void count(const EncodeSection& section, const EmptyTask& group,
                           Memory& memory) const {
    auto* const words = reinterpret_cast<uint32_t*>(&memory.counts);
    for (uint32_t i = thread_index(); i < sizeof(GroupCounts) / 4; i += kThreads) words[i] = 0;
    for (uint32_t i = thread_index(); i < 2 * kNearValues; i += kThreads) memory.near[i] = 0;
    sync_block();
    const SectionImage& image = arguments.common.image(section.place);
    const float* const values = arguments.values(section, group.group);
    const uint32_t count = section.place.tokens * group.lanes;
    for (uint32_t i = thread_index(); i < count; i += kThreads) {
      const int32_t q = quantised(values[i], image.step, image.rounding);
      const uint32_t index = static_cast<uint32_t>(q) + kNearValues;
      if (index < 2 * kNearValues) {
        atomic_add(&memory.near[index], 1);
      } else {
        add_value(section.passes, q, 1, memory.counts);
      }
    }
    sync_block();
    for (uint32_t i = thread_index(); i < 2 * kNearValues; i += kThreads) {
      if (memory.near[i] > 0)
        add_value(section.passes, static_cast<int32_t>(i) - static_cast<int32_t>(kNearValues),
                  memory.near[i], memory.counts);
    }
    sync_block();
  }

  // `times` finest values q.
  KVCAST_DEVICE static void add_value(uint32_t passes, int32_t q, uint32_t times,
                                      GroupCounts& counts) {
    const uint32_t magnitude = magnitude_of(q);
    uint32_t before = magnitude >> passes;
    if (before <= static_cast<uint32_t>(kNearSymbols)) {
      const auto value = static_cast<int32_t>(before);
      atomic_add(&counts.near[kNearSymbols + (q < 0 ? -value : value)], times);
    } else {
      atomic_add(&counts.far, times);
      const uint32_t most = q < 0 ? 0x8000 : 0x7FFF;
      if (before > most) atomic_or(&counts.wide, 1);
    }
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const uint32_t after = magnitude >> (passes - 1 - pass), bit = after & 1;
      const uint32_t symbol = before == 0 && bit != 0 && q < 0 ? 2 : bit;
      atomic_add(&counts.passes[pass][before < 2 ? before : 2][symbol], times);
      before = after;
    }
  }

  // The lowest class among the cheapest.
  KVCAST_DEVICE void choose(const EncodeSection& section, Memory& memory) const {
    const uint32_t classes = arguments.tasks.class_count;
    if (thread_index() < classes) {
      const EncodeClassImage& image = arguments.scale_class(thread_index());
      double bits = base_is_zero(memory.counts) ? 0 : bits_of_base(image, memory.counts);
      for (uint32_t pass = 0; pass < section.passes; ++pass) {
        const bool zero = pass_is_zero(memory.counts, pass);
        bits = add(bits, zero ? 0 : bits_of_pass(image, memory.counts, pass));
      }
      memory.bits[thread_index()] = bits;
    }
    sync_block();
    if (thread_index() == 0) {
      memory.choice = kNoClass;
      double least = float_of(0x7F800000);
      for (uint32_t c = 0; c < classes; ++c) {
        if (memory.bits[c] < least) {
          least = memory.bits[c];
          memory.choice = c;
        }
      }
    }
    sync_block();
  }

  // Value i adds to sum i % 32, then the sums are added up; a warp a level.
  KVCAST_DEVICE void measure(const EncodeSection& section, const EmptyTask& group,
                             Memory& memory) const {
    const uint32_t level = warp_index(), lane = lane_index();
    const SectionImage& image = arguments.common.image(section.place);
    const float* const values = arguments.values(section, group.group);
    const uint32_t count = section.place.tokens * group.lanes;
    if (memory.choice != kNoClass && level < section.levels) {
      const uint32_t dropped = section.drop_bits[level];
      CellOfClass cell;
      cell.step = image.step;
      cell.rounding = image.rounding;
      cell.cell = to_float(1u << dropped);
      const float* const fraction =
          arguments.common.scale_class(memory.choice).fraction[section.passes - dropped];
      cell.fraction[0] = fraction[0];
      cell.fraction[1] = fraction[1];
      double error = 0, energy = 0;
      for (uint32_t i = lane; i < count; i += kWarpLanes) {
        const int32_t q = quantised(values[i], image.step, image.rounding);
        const uint32_t bf16 =
            cell.reconstruct(magnitude_of(q) >> dropped, q < 0 ? kSignOfValue : 0);
        const auto off = static_cast<double>(subtract(values[i], float_of(bf16 << 16)));
        const auto y = static_cast<double>(values[i]);
        error = add(error, multiply(off, off));
        if (level == 0) energy = add(energy, multiply(y, y));
      }
      memory.errors[level][lane] = error;
      if (level == 0) memory.energy[lane] = energy;
    }
    sync_block();
  }

  KVCAST_DEVICE static double sum_of(const double (&parts)[kWarpLanes]) {
    double sum = 0;
    for (uint32_t part = 0; part < kWarpLanes; ++part) sum = add(sum, parts[part]);
    return sum;
  }

  KVCAST_DEVICE void fill(const EncodeSection& section, const Memory& memory,
                          GroupReport& report) const {
    report.scale_class = static_cast<uint8_t>(memory.choice);
    if (memory.choice == kNoClass) return;
    const EncodeClassImage& image = arguments.scale_class(memory.choice);
    const bool no_base = base_is_zero(memory.counts);
    uint32_t empty = no_base;
    report.bits[0] = no_base ? 0 : bits_of_base(image, memory.counts);
    report.escapes =
        no_base ? 0 : count_escapes(memory.counts, static_cast<int32_t>(image.alphabet / 2) - 1);
    report.wide = static_cast<uint8_t>(!no_base && memory.counts.wide);
    for (uint32_t pass = 0; pass < section.passes; ++pass) {
      const bool zero = pass_is_zero(memory.counts, pass);
      report.bits[1 + pass] = zero ? 0 : bits_of_pass(image, memory.counts, pass);
      empty |= static_cast<uint32_t>(zero) << (1 + pass);
    }
    report.empty = static_cast<uint16_t>(empty);
    for (uint32_t level = 0; level < section.levels; ++level)
      report.squared_error[level] = sum_of(memory.errors[level]);
    report.energy = sum_of(memory.energy);
  }
};

}  // namespace
}  // namespace kvcast::kernels
