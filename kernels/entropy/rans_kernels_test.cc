#include "kernels/entropy/rans_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include "kernels/entropy/alias_registers.h"
#include "kernels/entropy/random_table.h"
#include "kernels/entropy/vector_stream.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

// Values of symbols, no two of them the same, the escape's as it must be.
SymbolValues random_values(std::mt19937& random, const AliasRegisters& registers, uint32_t escape,
                           std::vector<uint16_t>& of_symbol) {
  of_symbol.resize(kMaxAlphabet);
  const uint32_t first = below(random, 1u << 16);
  for (uint32_t i = 0; i < kMaxAlphabet; ++i)
    of_symbol[i] = static_cast<uint16_t>(first + 1999 * i);
  for (uint16_t& value : of_symbol) value = value == kEscapedValue ? kEscapedValue - 1 : value;
  of_symbol[escape] = kEscapedValue;
  SymbolValues values;
  for (int i = 0; i < 64; ++i) values.value[i] = of_symbol[registers.symbol[i]];
  return values;
}

// Streams of two tables; both decoders take the same runs and end in the same state. Escapes become
// the values that were given for them.
void compare_symbols(std::mt19937& random, Implementation implementation, size_t alphabet,
                     uint32_t stream_count, uint32_t lanes = kLanes) {
  const std::string where = std::string(implementation_name(implementation)) + ", alphabet " +
                            std::to_string(alphabet) + ", streams " + std::to_string(stream_count) +
                            ", lanes " + std::to_string(lanes);
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

  std::vector<std::unique_ptr<VectorStream>> streams;
  std::vector<std::vector<uint16_t>> escaped(stream_count);
  std::vector<EscapedValues> left;
  for (uint32_t s = 0; s < stream_count; ++s) {
    const Coding& coding = codings[s % 2];
    std::vector<uint8_t> symbols(size_t{steps} * lanes);
    for (uint8_t& symbol : symbols) {
      symbol = draw_symbol(random, coding.frequency);
      if (symbol == coding.escape) escaped[s].push_back(static_cast<uint16_t>(random()));
    }
    const uint32_t stream_lanes = below(random, 2) == 0 ? lanes : kLanes;
    RansEncoder encoder(stream_lanes);
    encoder.encode(coding.table, lanes, symbols);
    streams.push_back(std::make_unique<VectorStream>(encoder.finish(), stream_lanes));
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
          {&streams[s]->cursor, &coding.registers, &coding.values, &left[s], out[s].data(), lanes});
      next_escaped.push_back(left[s].next);
    }
    ASSERT_TRUE(
        vector_kernels(implementation)->rans.decode_symbols(jobs.data(), stream_count, run, row))
        << where;
    for (uint32_t s = 0; s < stream_count; ++s) {
      const Coding& coding = codings[s % 2];
      std::vector<uint8_t> symbols(size_t{run} * lanes);
      ASSERT_TRUE(streams[s]->scalar->decode(coding.table, lanes, symbols).ok());
      for (size_t i = 0; i < symbols.size(); ++i) {
        const uint16_t expected =
            symbols[i] == coding.escape ? *next_escaped[s]++ : coding.of_symbol[symbols[i]];
        ASSERT_EQ(out[s][i / lanes * row + i % lanes], expected) << where << " at " << i;
      }
      EXPECT_EQ(left[s].next, next_escaped[s]) << where;
      for (size_t i = 0; i < out[s].size(); ++i) {
        if (i % row >= lanes || i >= run * row) {
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
    for (uint32_t lanes = 1; lanes < kLanes; ++lanes) {
      compare_symbols(random, implementation, 1 + below(random, 16), 1, lanes);
      compare_symbols(random, implementation, 17 + below(random, 16), 1, lanes);
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
                     lanes = below(random, 2) == 0 ? kLanes : 1 + below(random, 31),
                     stream_count = lanes < kLanes ? 1 : 1 + below(random, kMaxDecodeStreams);
      std::vector<std::vector<int16_t>> values, expected;
      std::vector<std::unique_ptr<VectorStream>> streams;
      std::vector<RefineJob> jobs;
      for (uint32_t s = 0; s < stream_count; ++s) {
        values.emplace_back(size_t{steps} * kLanes);
        std::vector<uint8_t> contexts, symbols;
        for (size_t i = 0; i < values.back().size(); ++i) {
          int16_t& value = values.back()[i];
          if (i % kLanes >= lanes) continue;
          value = random_value(random);
          contexts.push_back(refinement_context(value));
          symbols.push_back(draw_symbol(random, frequencies[contexts.back()]));
        }
        RansEncoder encoder(kLanes);
        encoder.encode(pointers, contexts, lanes, symbols);
        streams.push_back(std::make_unique<VectorStream>(encoder.finish(), kLanes));
        ASSERT_TRUE(streams.back()->scalar->decode(pointers, contexts, lanes, symbols).ok());
        expected.emplace_back();
        for (size_t i = 0; i < symbols.size(); ++i) {
          const int16_t before = values.back()[i / lanes * kLanes + i % lanes];
          expected.back().push_back(static_cast<int16_t>(refine(before, symbols[i])));
        }
      }
      for (uint32_t s = 0; s < stream_count; ++s)
        jobs.push_back({&streams[s]->cursor, &registers, values[s].data(), lanes});
      ASSERT_TRUE(
          vector_kernels(implementation)->rans.refine_values(jobs.data(), stream_count, steps));
      for (uint32_t s = 0; s < stream_count; ++s) {
        for (size_t i = 0; i < expected[s].size(); ++i) {
          ASSERT_EQ(values[s][i / lanes * kLanes + i % lanes], expected[s][i])
              << implementation_name(implementation) << ", lanes " << lanes;
        }
      }
      for (const auto& stream : streams)
        stream->expect_same_state(implementation_name(implementation));
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
      VectorStream stream(whole, kLanes);
      const std::vector<uint16_t> escaped(given + 64);
      EscapedValues left{escaped.data(), escaped.data() + given};
      std::vector<uint16_t> out(symbols.size());
      const SymbolJob job{&stream.cursor, &registers, &values, &left, out.data(), kLanes};
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
      VectorStream stream({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}, kLanes);
      std::vector<uint16_t> of_symbol, out(symbols.size()), escaped(symbols.size() + 64);
      const SymbolValues values = random_values(random, registers, 3, of_symbol);
      EscapedValues left{escaped.data(), escaped.data() + symbols.size()};
      const SymbolJob job{&stream.cursor, &registers, &values, &left, out.data(), kLanes};
      EXPECT_FALSE(vector_kernels(implementation)->rans.decode_symbols(&job, 1, 100, kLanes));
      EXPECT_GT(stream.cursor.next, stream.cursor.end);
      EXPECT_FALSE(stream.scalar->resume(stream.cursor).ok());
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels
