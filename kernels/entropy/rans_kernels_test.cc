#include "kernels/entropy/rans_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "kernels/entropy/alias_registers.h"
#include "kernels/entropy/random_table.h"
#include "kernels/entropy/rans.h"
#include "kernels/implementation/vector_kernels.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

std::vector<Implementation> vector_implementations() {
  std::vector<Implementation> found;
  for (const Implementation implementation : implementations()) {
    if (runs_here(implementation) && vector_kernels(implementation))
      found.push_back(implementation);
  }
  return found;
}

// A stream, readable past its end, and a scalar decoder that stands beside the vector one.
struct Stream {
  Stream(std::vector<std::byte> encoded, uint32_t lanes) : bytes(std::move(encoded)) {
    const size_t size = bytes.size();
    bytes.resize(size + kReadAhead, std::byte{0xEE});
    scalar.emplace(*RansDecoder::open(std::span(bytes).first(size), lanes));
    cursor = scalar->cursor();
  }
  void expect_same_state(const std::string& where) const {
    const RansCursor expected = scalar->cursor();
    EXPECT_TRUE(std::equal(expected.states, expected.states + kLanes, cursor.states)) << where;
    EXPECT_EQ(expected.next, cursor.next) << where;
  }
  std::vector<std::byte> bytes;
  std::optional<RansDecoder> scalar;
  RansCursor cursor;
};

// Values of symbols, no two of them the same.
SymbolValues random_values(std::mt19937& random, const AliasRegisters& registers, uint32_t escape,
                           std::vector<uint16_t>& of_symbol) {
  of_symbol.resize(kMaxAlphabet);
  const uint32_t first = below(random, 1u << 16);
  for (uint32_t i = 0; i < kMaxAlphabet; ++i)
    of_symbol[i] = static_cast<uint16_t>(first + 1999 * i);
  SymbolValues values;
  for (int i = 0; i < 64; ++i) values.value[i] = of_symbol[registers.symbol[i]];
  values.escape = of_symbol[escape];
  return values;
}

// Streams of two tables; both decoders take the same runs and end in the same state. Escapes become
// the values that were given for them.
void compare_symbols(std::mt19937& random, Implementation implementation, size_t alphabet,
                     uint32_t stream_count) {
  const std::string where = std::string(implementation_name(implementation)) + ", alphabet " +
                            std::to_string(alphabet) + ", streams " + std::to_string(stream_count);
  struct Coding {
    std::vector<uint16_t> frequency;
    AliasTable table;
    AliasRegisters registers;
    uint32_t escape;
    std::vector<uint16_t> of_symbol;
    SymbolValues values;
  };
  std::vector<Coding> codings;
  for (const size_t size : {alphabet, size_t{1 + below(random, kMaxAlphabet)}}) {
    const auto frequency = random_frequencies(random, size);
    codings.push_back({frequency,
                       AliasTable(frequency),
                       alias_registers(frequency),
                       below(random, size),
                       {},
                       {}});
    codings.back().values = random_values(random, codings.back().registers, codings.back().escape,
                                          codings.back().of_symbol);
  }
  const uint32_t steps = below(random, 300), row = kLanes + below(random, 2) * 40;

  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<std::vector<uint16_t>> escaped(stream_count);
  std::vector<EscapedValues> left;
  for (uint32_t s = 0; s < stream_count; ++s) {
    const Coding& coding = codings[s % 2];
    std::vector<uint8_t> symbols(size_t{steps} * kLanes);
    for (uint8_t& symbol : symbols) {
      symbol = draw_symbol(random, coding.frequency);
      if (symbol == coding.escape) escaped[s].push_back(static_cast<uint16_t>(random()));
    }
    RansEncoder encoder(kLanes);
    encoder.encode(coding.table, kLanes, symbols);
    streams.push_back(std::make_unique<Stream>(encoder.finish(), kLanes));
    const size_t count = escaped[s].size();
    escaped[s].resize(count + 64);
    left.push_back({escaped[s].data(), escaped[s].data() + count});
  }
  for (uint32_t done = 0; done < steps;) {
    const uint32_t run = 1 + below(random, steps - done);
    std::vector<std::vector<uint16_t>> out(stream_count, std::vector<uint16_t>(run * row + 1, 7));
    std::vector<SymbolJob> jobs;
    std::vector<const uint16_t*> next_escaped;
    for (uint32_t s = 0; s < stream_count; ++s) {
      const Coding& coding = codings[s % 2];
      jobs.push_back(
          {&streams[s]->cursor, &coding.registers, &coding.values, &left[s], out[s].data()});
      next_escaped.push_back(left[s].next);
    }
    ASSERT_TRUE(
        vector_kernels(implementation)->rans.decode_symbols(jobs.data(), stream_count, run, row))
        << where;
    for (uint32_t s = 0; s < stream_count; ++s) {
      const Coding& coding = codings[s % 2];
      std::vector<uint8_t> symbols(size_t{run} * kLanes);
      ASSERT_TRUE(streams[s]->scalar->decode(coding.table, kLanes, symbols).ok());
      for (size_t i = 0; i < symbols.size(); ++i) {
        const uint16_t expected =
            symbols[i] == coding.escape ? *next_escaped[s]++ : coding.of_symbol[symbols[i]];
        ASSERT_EQ(out[s][i / kLanes * row + i % kLanes], expected) << where << " at " << i;
      }
      EXPECT_EQ(left[s].next, next_escaped[s]) << where;
      for (size_t i = 0; i < out[s].size(); ++i) {
        if (i % row >= kLanes || i >= run * row) {
          ASSERT_EQ(out[s][i], 7) << where;
        }
      }
      streams[s]->expect_same_state(where);
    }
    done += run;
  }
  for (const auto& stream : streams) EXPECT_TRUE(stream->scalar->finish().ok());
}

TEST(RansKernels, SymbolsAndStatesAreTheScalarOnes) {
  for (const Implementation implementation : vector_implementations()) {
    std::mt19937 random(81);
    for (size_t alphabet = 1; alphabet <= kMaxAlphabet; ++alphabet) {
      for (uint32_t streams = 1; streams <= kMaxDecodeStreams; ++streams)
        compare_symbols(random, implementation, alphabet, streams);
    }
  }
}

int16_t random_value(std::mt19937& random) {
  const auto spread = 1u << below(random, 14);
  return static_cast<int16_t>(static_cast<int32_t>(below(random, 2 * spread)) -
                              static_cast<int32_t>(spread));
}

TEST(RansKernels, RefinedValuesAndStatesAreTheScalarOnes) {
  for (const Implementation implementation : vector_implementations()) {
    std::mt19937 random(82);
    for (int trial = 0; trial < 200; ++trial) {
      const std::array<std::vector<uint16_t>, 3> frequencies = {
          random_frequencies(random, 1 + below(random, 3)),
          random_frequencies(random, 1 + below(random, 2)), random_frequencies(random, 2)};
      const std::array<AliasTable, 3> tables = {
          AliasTable(frequencies[0]), AliasTable(frequencies[1]), AliasTable(frequencies[2])};
      const std::array<const AliasTable*, 3> pointers = {&tables[0], &tables[1], &tables[2]};
      const AliasRegisters registers =
          pass_registers({frequencies[0], frequencies[1], frequencies[2]});
      const uint32_t steps = below(random, 200),
                     stream_count = 1 + below(random, kMaxDecodeStreams);
      std::vector<std::vector<int16_t>> values, expected;
      std::vector<std::unique_ptr<Stream>> streams;
      std::vector<RefineJob> jobs;
      for (uint32_t s = 0; s < stream_count; ++s) {
        values.emplace_back(size_t{steps} * kLanes);
        std::vector<uint8_t> contexts, symbols;
        for (int16_t& value : values.back()) {
          value = random_value(random);
          contexts.push_back(refinement_context(value));
          symbols.push_back(draw_symbol(random, frequencies[contexts.back()]));
        }
        RansEncoder encoder(kLanes);
        encoder.encode(pointers, contexts, kLanes, symbols);
        streams.push_back(std::make_unique<Stream>(encoder.finish(), kLanes));
        ASSERT_TRUE(streams.back()->scalar->decode(pointers, contexts, kLanes, symbols).ok());
        expected.emplace_back();
        for (size_t i = 0; i < symbols.size(); ++i) {
          expected.back().push_back(static_cast<int16_t>(refine(values.back()[i], symbols[i])));
        }
      }
      for (uint32_t s = 0; s < stream_count; ++s)
        jobs.push_back({&streams[s]->cursor, &registers, values[s].data()});
      ASSERT_TRUE(
          vector_kernels(implementation)->rans.refine_values(jobs.data(), stream_count, steps));
      EXPECT_EQ(values, expected) << implementation_name(implementation);
      for (const auto& stream : streams)
        stream->expect_same_state(implementation_name(implementation));
    }
  }
}

// A group's base and passes, in tables drawn at random, and the same by scalar functions.
struct RandomGroup {
  std::vector<uint16_t> base_frequency;
  std::vector<std::array<std::vector<uint16_t>, 3>> pass_frequencies;
  AliasRegisters base_registers;
  std::vector<AliasRegisters> pass_registers_;
  SymbolValues values;
  FusedCoefficients coefficients;
  std::vector<uint16_t> escaped;
  EscapedValues left;
  std::vector<std::unique_ptr<Stream>> streams;  // [part]
  std::vector<int32_t> refined;                  // [steps][32]
  std::vector<uint32_t> escapes;                 // [steps]

  RandomGroup(std::mt19937& random, size_t alphabet, uint32_t passes, uint32_t steps)
      : base_frequency(random_frequencies(random, alphabet)),
        base_registers(alias_registers(base_frequency)) {
    const int32_t largest = static_cast<int32_t>(alphabet / 2) - 1;
    for (int i = 0; i < 64; ++i) {
      const int32_t value = base_registers.symbol[i] - largest;
      values.value[i] = base_registers.symbol[i] == alphabet - 1 ? kFusedEscape : form(value);
    }
    values.escape = kFusedEscape;
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
    std::vector<uint8_t> symbols(size_t{steps} * kLanes);
    escapes.assign(steps, 0);
    for (size_t i = 0; i < symbols.size(); ++i) {
      symbols[i] = draw_symbol(random, base_frequency);
      const bool is_escape = symbols[i] == base_frequency.size() - 1;
      refined.push_back(is_escape ? static_cast<int32_t>(below(random, 31)) - 15
                                  : symbols[i] - largest);
      if (!is_escape) continue;
      escaped.push_back(form(refined.back()));
      escapes[i / kLanes] |= 1u << i % kLanes;
    }
    const AliasTable table(base_frequency);
    RansEncoder encoder(kLanes);
    encoder.encode(table, kLanes, symbols);
    streams.push_back(std::make_unique<Stream>(encoder.finish(), kLanes));
    ASSERT_TRUE(streams.back()->scalar->decode(table, kLanes, symbols).ok());
  }

  void draw_pass(std::mt19937& random) {
    const auto& frequencies = pass_frequencies.emplace_back(std::array{
        random_frequencies(random, 1 + below(random, 3)),
        random_frequencies(random, 1 + below(random, 2)), random_frequencies(random, 2)});
    pass_registers_.push_back(pass_registers({frequencies[0], frequencies[1], frequencies[2]}));
    const std::array<AliasTable, 3> tables = {
        AliasTable(frequencies[0]), AliasTable(frequencies[1]), AliasTable(frequencies[2])};
    const std::array<const AliasTable*, 3> pointers = {&tables[0], &tables[1], &tables[2]};
    std::vector<uint8_t> contexts, symbols;
    for (int32_t& value : refined) {
      contexts.push_back(refinement_context(value));
      symbols.push_back(draw_symbol(random, frequencies[contexts.back()]));
      value = refine(value, symbols.back());
    }
    RansEncoder encoder(kLanes);
    encoder.encode(pointers, contexts, kLanes, symbols);
    streams.push_back(std::make_unique<Stream>(encoder.finish(), kLanes));
    ASSERT_TRUE(streams.back()->scalar->decode(pointers, contexts, kLanes, symbols).ok());
  }

  GroupJob job(uint16_t* out, uint8_t* refined_bytes, uint32_t* escape_masks) {
    GroupJob job{{}, {}, &values, &left, &coefficients, out, refined_bytes, escape_masks};
    for (size_t part = 0; part < streams.size(); ++part) {
      job.cursor[part] = &streams[part]->cursor;
      job.table[part] = part == 0 ? &base_registers : &pass_registers_[part - 1];
    }
    return job;
  }
};

void compare_groups(std::mt19937& random, Implementation implementation, uint32_t group_count,
                    uint32_t passes) {
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
        std::make_unique<RandomGroup>(random, 2 * (1 + below(random, 16)), passes, steps));
    jobs.push_back(groups[g]->job(out[g].data(), traced ? refined[g].data() : nullptr,
                                  traced ? escapes[g].data() : nullptr));
  }
  ASSERT_TRUE(vector_kernels(implementation)
                  ->rans.decode_groups(jobs.data(), group_count, passes, steps, row));
  for (uint32_t g = 0; g < group_count; ++g) {
    const RandomGroup& group = *groups[g];
    for (size_t i = 0; i < size_t{steps} * kLanes; ++i) {
      const uint32_t m = magnitude(group.refined[i]);
      const bool negative = group.refined[i] < 0;
      ASSERT_EQ(out[g][i / kLanes * row + i % kLanes],
                group.coefficients.bf16[m] | (negative ? 0x8000 : 0))
          << i;
      if (traced) {
        ASSERT_EQ(refined[g][i], m | (negative ? 0x80 : 0)) << i;
      }
    }
    if (traced) {
      EXPECT_EQ(escapes[g], group.escapes);
    }
    for (size_t i = 0; i < out[g].size(); ++i) {
      if (i % row >= kLanes || i >= steps * row) {
        ASSERT_EQ(out[g][i], 7) << i;
      }
    }
    EXPECT_EQ(group.left.next, group.left.end);
    for (const auto& stream : group.streams)
      stream->expect_same_state(implementation_name(implementation));
  }
}

TEST(RansKernels, FusedGroupsAreTheScalarOnes) {
  for (const Implementation implementation : vector_implementations()) {
    std::mt19937 random(84);
    for (uint32_t passes = 1; passes <= kMaxFusedPasses; ++passes) {
      for (uint32_t groups = 1; groups <= kMaxFusedGroups; ++groups) {
        for (int trial = 0; trial < 60; ++trial) {
          SCOPED_TRACE(std::string(implementation_name(implementation)) + ", " +
                       std::to_string(groups) + " groups, " + std::to_string(passes) + " passes");
          compare_groups(random, implementation, groups, passes);
        }
      }
    }
  }
}

// Whatever part is cut short: noticed, and nothing read far behind its end (under a sanitizer).
TEST(RansKernels, WordsThatRunOutInAPartOfAGroupAreNoticed) {
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

TEST(RansKernels, EscapedValuesThatRunOutAreNoticed) {
  std::mt19937 random(86);
  const std::vector<uint16_t> frequency = {1000, 1000, 1000, 1096};
  const AliasTable table(frequency);
  const AliasRegisters registers = alias_registers(frequency);
  std::vector<uint8_t> symbols(size_t{50} * kLanes);
  for (uint8_t& symbol : symbols) symbol = draw_symbol(random, frequency);
  const auto escapes = static_cast<size_t>(std::count(symbols.begin(), symbols.end(), 3));
  RansEncoder encoder(kLanes);
  encoder.encode(table, kLanes, symbols);
  const auto whole = encoder.finish();
  std::vector<uint16_t> of_symbol;
  const SymbolValues values = random_values(random, registers, 3, of_symbol);
  for (const Implementation implementation : vector_implementations()) {
    for (size_t given = 0; given <= escapes; given += 1 + given / 8) {
      Stream stream(whole, kLanes);
      const std::vector<uint16_t> escaped(given + 64);
      EscapedValues left{escaped.data(), escaped.data() + given};
      std::vector<uint16_t> out(symbols.size());
      const SymbolJob job{&stream.cursor, &registers, &values, &left, out.data()};
      EXPECT_EQ(vector_kernels(implementation)->rans.decode_symbols(&job, 1, 50, kLanes),
                given == escapes);
      EXPECT_EQ(left.next > left.end, given < escapes);
    }
  }
}

TEST(RansKernels, WordsThatRunOutAreNoticed) {
  std::mt19937 random(83);
  const std::vector<uint16_t> frequency = {1000, 1000, 1000, 1096};
  const AliasTable table(frequency);
  std::vector<uint8_t> symbols(size_t{100} * kLanes);
  for (uint8_t& symbol : symbols) symbol = draw_symbol(random, frequency);
  RansEncoder encoder(kLanes);
  encoder.encode(table, kLanes, symbols);
  const auto whole = encoder.finish();
  const AliasRegisters registers = alias_registers(frequency);
  for (const Implementation implementation : vector_implementations()) {
    for (size_t size = kLanes * kStateBytes; size < whole.size(); size += kWordBytes) {
      Stream stream({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}, kLanes);
      std::vector<uint16_t> of_symbol, out(symbols.size()), escaped(symbols.size() + 64);
      const SymbolValues values = random_values(random, registers, 3, of_symbol);
      EscapedValues left{escaped.data(), escaped.data() + symbols.size()};
      const SymbolJob job{&stream.cursor, &registers, &values, &left, out.data()};
      EXPECT_FALSE(vector_kernels(implementation)->rans.decode_symbols(&job, 1, 100, kLanes));
      EXPECT_GT(stream.cursor.next, stream.cursor.end);
      EXPECT_FALSE(stream.scalar->resume(stream.cursor).ok());
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels
