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

struct Values {
  alignas(64) uint16_t value[64];
};

Values random_values(std::mt19937& random, const AliasRegisters& registers,
                     std::vector<uint16_t>& of_symbol) {
  of_symbol.resize(kMaxAlphabet);
  for (uint16_t& value : of_symbol) value = static_cast<uint16_t>(random());
  Values values;
  for (int i = 0; i < 64; ++i) values.value[i] = of_symbol[registers.symbol[i]];
  return values;
}

// 1 to 4 streams of one table; both decoders take the same runs and end in the same state.
void compare_symbols(std::mt19937& random, Implementation implementation, size_t alphabet,
                     uint32_t stream_count) {
  const std::string where = std::string(implementation_name(implementation)) + ", alphabet " +
                            std::to_string(alphabet) + ", streams " + std::to_string(stream_count);
  const auto frequency = random_frequencies(random, alphabet);
  const AliasTable table(frequency);
  const AliasRegisters registers = alias_registers(frequency);
  std::vector<uint16_t> of_symbol;
  const Values values = random_values(random, registers, of_symbol);
  const uint16_t escape = of_symbol[below(random, alphabet)];
  const uint32_t steps = below(random, 300), row = kLanes + below(random, 2) * 40;

  std::vector<std::unique_ptr<Stream>> streams;
  for (uint32_t s = 0; s < stream_count; ++s) {
    std::vector<uint8_t> symbols(size_t{steps} * kLanes);
    for (uint8_t& symbol : symbols) symbol = draw_symbol(random, frequency);
    RansEncoder encoder(kLanes);
    encoder.encode(table, kLanes, symbols);
    streams.push_back(std::make_unique<Stream>(encoder.finish(), kLanes));
  }
  for (uint32_t done = 0; done < steps;) {
    const uint32_t run = 1 + below(random, steps - done);
    std::vector<std::vector<uint16_t>> out(stream_count, std::vector<uint16_t>(run * row + 1, 7));
    std::vector<std::vector<uint32_t>> escapes(stream_count, std::vector<uint32_t>(run));
    std::vector<SymbolJob> jobs;
    for (uint32_t s = 0; s < stream_count; ++s)
      jobs.push_back({&streams[s]->cursor, out[s].data(), escapes[s].data()});
    ASSERT_TRUE(vector_kernels(implementation)
                    ->rans.decode_symbols(registers, values.value, escape, jobs.data(),
                                          stream_count, run, row))
        << where;
    for (uint32_t s = 0; s < stream_count; ++s) {
      std::vector<uint8_t> symbols(size_t{run} * kLanes);
      ASSERT_TRUE(streams[s]->scalar->decode(table, kLanes, symbols).ok());
      for (size_t i = 0; i < symbols.size(); ++i) {
        const uint16_t decoded = out[s][i / kLanes * row + i % kLanes];
        ASSERT_EQ(decoded, of_symbol[symbols[i]]) << where << " at " << i;
        ASSERT_EQ(escapes[s][i / kLanes] >> i % kLanes & 1, decoded == escape) << where;
      }
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
      for (uint32_t streams = 1; streams <= kMaxLockstep; ++streams)
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
      const uint32_t steps = below(random, 200), stream_count = 1 + below(random, kMaxLockstep);
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
        jobs.push_back({&streams[s]->cursor, values[s].data()});
      ASSERT_TRUE(vector_kernels(implementation)
                      ->rans.refine_values(registers, jobs.data(), stream_count, steps));
      EXPECT_EQ(values, expected) << implementation_name(implementation);
      for (const auto& stream : streams)
        stream->expect_same_state(implementation_name(implementation));
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
  for (const Implementation implementation : vector_implementations()) {
    for (size_t size = kLanes * kStateBytes; size < whole.size(); size += kWordBytes) {
      Stream stream({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}, kLanes);
      const Values values{};
      std::vector<uint16_t> out(symbols.size());
      std::vector<uint32_t> escapes(100);
      const SymbolJob job{&stream.cursor, out.data(), escapes.data()};
      EXPECT_FALSE(vector_kernels(implementation)
                       ->rans.decode_symbols(alias_registers(frequency), values.value, 1, &job, 1,
                                             100, kLanes));
      EXPECT_GT(stream.cursor.next, stream.cursor.end);
      EXPECT_FALSE(stream.scalar->resume(stream.cursor).ok());
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels
