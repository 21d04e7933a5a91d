#include "kernels/entropy/rans.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>

#include "kernels/entropy/random_table.h"

namespace kvcast::kernels {
namespace {

// Runs of one stream: some of one table, some by context; lanes vary from run to run.
struct Run {
  std::vector<std::vector<uint16_t>> frequencies;
  std::vector<AliasTable> tables;
  std::vector<const AliasTable*> pointers;
  std::vector<uint8_t> contexts, symbols;
  uint32_t lanes = 0;
};

std::unique_ptr<Run> random_run(std::mt19937& random, uint32_t lanes) {
  auto run = std::make_unique<Run>();
  run->lanes = lanes;
  const size_t table_count = below(random, 2) == 0 ? 1 : 3;
  for (size_t t = 0; t < table_count; ++t) {
    run->frequencies.push_back(
        random_frequencies(random, 1 + below(random, table_count == 1 ? kMaxAlphabet : 3)));
    run->tables.emplace_back(run->frequencies.back());
  }
  for (const AliasTable& table : run->tables) run->pointers.push_back(&table);
  run->symbols.resize(size_t{below(random, 200)} * lanes);
  for (uint8_t& symbol : run->symbols) {
    run->contexts.push_back(static_cast<uint8_t>(below(random, table_count)));
    symbol = draw_symbol(random, run->frequencies[run->contexts.back()]);
  }
  return run;
}

std::vector<std::byte> encode(const std::vector<std::unique_ptr<Run>>& runs, uint32_t lanes) {
  RansEncoder encoder(lanes);
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    if ((*run)->tables.size() == 1) {
      encoder.encode((*run)->tables[0], (*run)->lanes, (*run)->symbols);
    } else {
      encoder.encode((*run)->pointers, (*run)->contexts, (*run)->lanes, (*run)->symbols);
    }
  }
  return encoder.finish();
}

Check decode(const std::vector<std::unique_ptr<Run>>& runs, uint32_t lanes,
             std::span<const std::byte> stream, bool compare) {
  auto decoder = RansDecoder::open(stream, lanes);
  if (!decoder) return decoder.fault();
  for (const auto& run : runs) {
    std::vector<uint8_t> symbols(run->symbols.size(), 0xFF);
    const Check check = run->tables.size() == 1
                            ? decoder->decode(run->tables[0], run->lanes, symbols)
                            : decoder->decode(run->pointers, run->contexts, run->lanes, symbols);
    if (!check) return check;
    if (compare) {
      EXPECT_EQ(symbols, run->symbols);
    }
  }
  return decoder->finish();
}

std::vector<std::unique_ptr<Run>> random_runs(std::mt19937& random, uint32_t lanes) {
  std::vector<std::unique_ptr<Run>> runs;
  for (uint32_t r = below(random, 5) + 1; r > 0; --r) {
    runs.push_back(random_run(random, below(random, 3) == 0 ? 1 + below(random, lanes) : lanes));
  }
  return runs;
}

TEST(Rans, RoundTripOfRandomRuns) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    const uint32_t lanes = trial % 2 == 0 ? kLanes : 1 + below(random, kLanes);
    const auto runs = random_runs(random, lanes);
    const Check check = decode(runs, lanes, encode(runs, lanes), true);
    ASSERT_TRUE(check.ok()) << check.fault().what;
  }
}

TEST(Rans, SizeIsTheCostInBits) {
  std::mt19937 random(4);
  const std::vector<uint16_t> frequency = {100, 1000, 2000, 900, 96};
  const AliasTable table(frequency);
  std::vector<uint8_t> symbols(kLanes * 2000);
  double bits = 0;
  for (uint8_t& symbol : symbols) {
    symbol = draw_symbol(random, frequency);
    bits += table.bits(symbol);
  }
  RansEncoder encoder(kLanes);
  encoder.encode(table, kLanes, symbols);
  const double words_bytes = static_cast<double>(encoder.finish().size()) - kLanes * kStateBytes;
  EXPECT_NEAR(words_bytes, bits / 8, bits / 8 * 0.002 + kLanes * kStateBytes);
}

TEST(Rans, OneSymbolTablesCostNothing) {
  const AliasTable table(std::vector<uint16_t>{0, 0, 4096});
  RansEncoder encoder(kLanes);
  encoder.encode(table, kLanes, std::vector<uint8_t>(kLanes * 1000, 2));
  const auto stream = encoder.finish();
  EXPECT_EQ(stream.size(), kLanes * kStateBytes);
  auto decoder = RansDecoder::open(stream, kLanes);
  ASSERT_TRUE(decoder.ok());
  std::vector<uint8_t> symbols(kLanes * 1000, 0);
  ASSERT_TRUE(decoder->decode(table, kLanes, symbols).ok());
  EXPECT_EQ(symbols, std::vector<uint8_t>(kLanes * 1000, 2));
  EXPECT_TRUE(decoder->finish().ok());
}

TEST(Rans, EveryTruncationAndSurplusIsAFault) {
  std::mt19937 random(5);
  const auto runs = random_runs(random, kLanes);
  std::vector<std::byte> stream = encode(runs, kLanes);
  for (size_t size = 0; size < stream.size(); ++size) {
    EXPECT_FALSE(decode(runs, kLanes, std::span(stream).first(size), false).ok()) << size;
  }
  stream.resize(stream.size() + kWordBytes);
  EXPECT_FALSE(decode(runs, kLanes, stream, false).ok());
}

TEST(Rans, DamagedBytesAreMostlyNoticed) {
  std::mt19937 random(6);
  const auto runs = random_runs(random, kLanes);
  const std::vector<std::byte> stream = encode(runs, kLanes);
  int noticed = 0;
  constexpr int kTrials = 500;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<std::byte> damaged = stream;
    damaged[below(random, damaged.size())] ^=
        std::byte{static_cast<uint8_t>(1u << below(random, 8))};
    if (!decode(runs, kLanes, damaged, false).ok()) ++noticed;
  }
  EXPECT_GE(noticed, kTrials * 9 / 10);
}

TEST(Rans, StatesBelowTheLowerBoundAreRefused) {
  const auto decoder = RansDecoder::open(std::vector<std::byte>(kStateBytes * 2), 2);
  ASSERT_FALSE(decoder.ok());
  EXPECT_NE(decoder.fault().what.find("lane 0"), std::string::npos);
}

}  // namespace
}  // namespace kvcast::kernels
