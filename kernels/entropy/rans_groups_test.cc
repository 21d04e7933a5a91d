#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/entropy/alias_registers.h"
#include "kernels/entropy/random_table.h"
#include "kernels/entropy/rans_kernels.h"
#include "kernels/entropy/vector_stream.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

// A group's base and passes, in tables drawn at random, and the same by scalar functions.
struct RandomGroup {
  uint32_t lanes;
  std::vector<uint16_t> base_frequency;
  std::vector<std::array<std::vector<uint16_t>, 3>> pass_frequencies;
  AliasRegisters base_registers;
  std::vector<AliasRegisters> pass_tables;
  SymbolValues values;
  FusedCoefficients coefficients;
  std::vector<uint16_t> escaped;
  EscapedValues left;
  std::vector<std::unique_ptr<VectorStream>> streams;  // [part]
  std::vector<int32_t> refined;                        // [steps][lanes]
  std::vector<uint32_t> escapes;                       // [steps]

  RandomGroup(std::mt19937& random, size_t alphabet, uint32_t passes, uint32_t steps,
              uint32_t lane_count = kLanes)
      : lanes(lane_count),
        base_frequency(random_frequencies(random, alphabet)),
        base_registers(alias_registers(base_frequency)) {
    const int32_t largest = static_cast<int32_t>(alphabet / 2) - 1;
    for (int i = 0; i < 64; ++i) {
      const int32_t value = base_registers.symbol[i] - largest;
      values.value[i] = base_registers.symbol[i] == alphabet - 1 ? kFusedEscape : form(value);
    }
    for (uint32_t m = 0; m < kFusedMagnitudes; ++m) {
      coefficients.bf16[m] = static_cast<uint16_t>(random() & 0x7FFF);
      coefficients.low[m] = static_cast<uint8_t>(coefficients.bf16[m]);
      coefficients.high[m] = static_cast<uint8_t>(coefficients.bf16[m] >> 8);
    }
    draw_base(random, largest, steps);
    for (uint32_t pass = 0; pass < passes; ++pass) draw_pass(random);
    escaped.resize(escaped.size() + 64);
    left = {escaped.data(), escaped.data() + escaped.size() - 64};
  }

  static uint16_t form(int32_t value) {
    return static_cast<uint16_t>(magnitude(value) | (value < 0 ? kFusedSign : 0u));
  }

  void draw_base(std::mt19937& random, int32_t largest, uint32_t steps) {
    std::vector<uint8_t> symbols(size_t{steps} * lanes);
    escapes.assign(steps, 0);
    for (size_t i = 0; i < symbols.size(); ++i) {
      symbols[i] = draw_symbol(random, base_frequency);
      const bool is_escape = symbols[i] == base_frequency.size() - 1;
      refined.push_back(is_escape ? static_cast<int32_t>(below(random, 31)) - 15
                                  : symbols[i] - largest);
      if (!is_escape) continue;
      escaped.push_back(form(refined.back()));
      escapes[i / lanes] |= 1u << i % lanes;
    }
    const AliasTable table(base_frequency);
    RansEncoder encoder(lanes);
    encoder.encode(table, lanes, symbols);
    streams.push_back(std::make_unique<VectorStream>(encoder.finish(), lanes));
    ASSERT_TRUE(streams.back()->scalar->decode(table, lanes, symbols).ok());
  }

  void draw_pass(std::mt19937& random) {
    const auto& frequencies = pass_frequencies.emplace_back(std::array{
        random_frequencies(random, 1 + below(random, 3)),
        random_frequencies(random, 1 + below(random, 2)), random_frequencies(random, 2)});
    pass_tables.push_back(pass_registers({frequencies[0], frequencies[1], frequencies[2]}));
    const std::array<AliasTable, 3> tables = {
        AliasTable(frequencies[0]), AliasTable(frequencies[1]), AliasTable(frequencies[2])};
    const std::array<const AliasTable*, 3> pointers = {&tables[0], &tables[1], &tables[2]};
    std::vector<uint8_t> contexts, symbols;
    for (int32_t& value : refined) {
      contexts.push_back(refinement_context(value));
      symbols.push_back(draw_symbol(random, frequencies[contexts.back()]));
      value = refine(value, symbols.back());
    }
    RansEncoder encoder(lanes);
    encoder.encode(pointers, contexts, lanes, symbols);
    streams.push_back(std::make_unique<VectorStream>(encoder.finish(), lanes));
    ASSERT_TRUE(streams.back()->scalar->decode(pointers, contexts, lanes, symbols).ok());
  }

  GroupJob job(uint16_t* out, uint8_t* refined_bytes, uint32_t* escape_masks) {
    GroupJob job{{}, {}, &values, &left, &coefficients, out, refined_bytes, escape_masks, lanes};
    for (size_t part = 0; part < streams.size(); ++part) {
      job.cursor[part] = &streams[part]->cursor;
      job.table[part] = part == 0 ? &base_registers : &pass_tables[part - 1];
    }
    return job;
  }
};

void compare_groups(std::mt19937& random, Implementation implementation, uint32_t group_count,
                    uint32_t passes, uint32_t lanes) {
  const uint32_t steps = below(random, 3) == 0 ? below(random, 5) : below(random, 200);
  const uint32_t row = kLanes + below(random, 2) * 40;
  const bool traced = below(random, 2) == 0;
  std::vector<std::unique_ptr<RandomGroup>> groups;
  std::vector<std::vector<uint16_t>> out(group_count, std::vector<uint16_t>(steps * row + 1, 7));
  std::vector<std::vector<uint8_t>> refined(group_count, std::vector<uint8_t>(steps * kLanes));
  std::vector<std::vector<uint32_t>> escapes(group_count, std::vector<uint32_t>(steps));
  std::vector<GroupJob> jobs;
  for (uint32_t g = 0; g < group_count; ++g) {
    groups.push_back(
        std::make_unique<RandomGroup>(random, 2 * (1 + below(random, 16)), passes, steps, lanes));
    jobs.push_back(groups[g]->job(out[g].data(), traced ? refined[g].data() : nullptr,
                                  traced ? escapes[g].data() : nullptr));
  }
  ASSERT_TRUE(vector_kernels(implementation)
                  ->rans.decode_groups(jobs.data(), group_count, passes, steps, row));
  for (uint32_t g = 0; g < group_count; ++g) {
    const RandomGroup& group = *groups[g];
    for (size_t i = 0; i < size_t{steps} * lanes; ++i) {
      const uint32_t m = magnitude(group.refined[i]);
      const bool negative = group.refined[i] < 0;
      ASSERT_EQ(out[g][i / lanes * row + i % lanes],
                group.coefficients.bf16[m] | (negative ? 0x8000 : 0))
          << i;
      if (traced) {
        ASSERT_EQ(refined[g][i / lanes * kLanes + i % lanes], m | (negative ? 0x80 : 0)) << i;
      }
    }
    if (traced) {
      EXPECT_EQ(escapes[g], group.escapes);
    }
    for (size_t i = 0; i < out[g].size(); ++i) {
      if (i % row >= lanes || i >= steps * row) {
        ASSERT_EQ(out[g][i], 7) << i;
      }
    }
    EXPECT_EQ(group.left.next, group.left.end);
    for (const auto& stream : group.streams)
      stream->expect_same_state(implementation_name(implementation));
  }
}

TEST(RansGroups, FusedGroupsAreTheScalarOnes) {
  for (const Implementation implementation : vector_implementations()) {
    std::mt19937 random(84);
    for (uint32_t passes = 1; passes <= kMaxFusedPasses; ++passes) {
      for (uint32_t groups = 1; groups <= kMaxFusedGroups; ++groups) {
        for (int trial = 0; trial < 60; ++trial) {
          SCOPED_TRACE(std::string(implementation_name(implementation)) + ", " +
                       std::to_string(groups) + " groups, " + std::to_string(passes) + " passes");
          const bool narrow = groups == 1 && below(random, 2) == 0;
          compare_groups(random, implementation, groups, passes,
                         narrow ? 1 + below(random, 31) : kLanes);
        }
      }
    }
  }
}

// Whatever part is cut short: noticed, and nothing read far behind its end (under a sanitizer).
TEST(RansGroups, WordsThatRunOutInAPartOfAGroupAreNoticed) {
  std::mt19937 random(85);
  for (const Implementation implementation : vector_implementations()) {
    for (int trial = 0; trial < 100; ++trial) {
      const uint32_t passes = 1 + below(random, kMaxFusedPasses), steps = 40;
      RandomGroup group(random, 16, passes, steps);
      std::vector<uint16_t> out(size_t{steps} * kLanes);
      const GroupJob job = group.job(out.data(), nullptr, nullptr);
      RansCursor& cursor = *job.cursor[below(random, passes + 1)];
      const auto words = static_cast<size_t>(cursor.end - cursor.next) / kWordBytes;
      if (words == 0) continue;
      cursor.end = cursor.next + kWordBytes * below(random, words);
      EXPECT_FALSE(
          vector_kernels(implementation)->rans.decode_groups(&job, 1, passes, steps, kLanes));
      EXPECT_GT(cursor.next, cursor.end);
      EXPECT_LE(cursor.next, cursor.end + kReadAhead);
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels
