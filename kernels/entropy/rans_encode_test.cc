// Every encoder against the reference decoder and against scalar's bytes.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>
#include <random>
#include <string>

#include "kernels/entropy/encode_table.h"
#include "kernels/entropy/random_table.h"
#include "kernels/entropy/rans.h"
#include "kernels/implementation/encode_kernels.h"

namespace kvcast::kernels {
namespace {

TEST(EncodeTable, PiecesMapPositionsToSlots) {
  std::mt19937 random(61);
  for (size_t alphabet = 1; alphabet <= kMaxAlphabet; ++alphabet) {
    const AliasTable table(random_frequencies(random, alphabet));
    const EncodeTable made = encode_table(table);
    ASSERT_LE(made.pieces, 2 * alias_bucket_count(table.alphabet()) - 1);
    ASSERT_EQ(made.begin[0], 0);
    for (uint32_t position = 0, piece = 0; position < kSlots; ++position) {
      if (piece + 1 < made.pieces && made.begin[piece + 1] == position) ++piece;
      ASSERT_EQ((position + made.shift[piece]) % 65536, table.slot_of()[position]);
    }
  }
}

// The largest state that is divided by f is f * 2^20 - 1; exact next to every multiple of f.
TEST(EncodeTable, QuotientsAreExact) {
  std::mt19937 random(62);
  for (uint32_t f = 1; f < kSlots; ++f) {
    const AliasTable table(
        std::vector<uint16_t>{static_cast<uint16_t>(f), static_cast<uint16_t>(kSlots - f)});
    const EncodeTable made = encode_table(table);
    const double inverse = made.reciprocal[0];
    ASSERT_LE(inverse * f, 1.0);
    ASSERT_GT(std::nextafter(made.reciprocal[0], 2.0f) * static_cast<double>(f), 1.0);
    const uint64_t end = uint64_t{f} << 20;
    for (int trial = 0; trial < 200; ++trial) {
      const uint64_t quotient = trial == 0 ? (1u << 20) - 1 : below(random, 1u << 20);
      for (const uint64_t x : {quotient * f, quotient * f + f - 1}) {
        ASSERT_LT(x, end);
        ASSERT_EQ(x * made.symbol[0].multiplier >> 44, quotient) << x << " / " << f;
      }
    }
  }
}

struct Coder {
  explicit Coder(std::array<std::vector<uint16_t>, 3> of_contexts, bool contexts)
      : frequencies(std::move(of_contexts)),
        tables{AliasTable(frequencies[0]), AliasTable(frequencies[1]), AliasTable(frequencies[2])},
        pointers{&tables[0], &tables[1], &tables[2]},
        count(contexts ? 3 : 1),
        encode(contexts ? encode_table(pointers) : encode_table(tables[0])) {}
  std::array<std::vector<uint16_t>, 3> frequencies;
  std::array<AliasTable, 3> tables;
  std::array<const AliasTable*, 3> pointers;
  uint32_t count;
  EncodeTable encode;
};

// Values in decoding order.
struct Run {
  std::vector<uint8_t> contexts, symbols, indices;
};

Run random_run(std::mt19937& random, const Coder& coder, size_t size) {
  Run run;
  for (size_t i = 0; i < size; ++i) {
    run.contexts.push_back(static_cast<uint8_t>(below(random, coder.count)));
    run.symbols.push_back(draw_symbol(random, coder.frequencies[run.contexts.back()]));
    run.indices.push_back(static_cast<uint8_t>(4 * run.contexts.back() + run.symbols.back()));
  }
  return run;
}

// 1 to 4 streams of some runs each: every implementation writes scalar's bytes, and the decoder
// restores the symbols.
void compare(std::mt19937& random, const Coder& coder, uint32_t stream_count, uint32_t lanes) {
  std::vector<std::vector<Run>> runs(1 + below(random, 3));
  std::vector<uint32_t> steps;
  for (auto& of_streams : runs) {
    steps.push_back(below(random, 150));
    for (uint32_t s = 0; s < stream_count; ++s)
      of_streams.push_back(random_run(random, coder, size_t{steps.back()} * lanes));
  }
  std::vector<std::vector<std::byte>> expected;
  for (const Implementation implementation : implementations()) {
    if (!runs_here(implementation)) continue;
    SCOPED_TRACE(implementation_name(implementation));
    std::vector<RansEncoder> encoders;
    for (uint32_t s = 0; s < stream_count; ++s) encoders.emplace_back(lanes);
    for (size_t r = runs.size(); r-- > 0;) {
      std::vector<EncodeJob> jobs;
      for (uint32_t s = 0; s < stream_count; ++s) {
        const auto& indices = runs[r][s].indices;
        jobs.push_back({&coder.encode, &encoders[s].make_room(indices.size()), indices.data()});
      }
      encode_kernels(implementation).encode_symbols(jobs.data(), stream_count, steps[r], lanes);
    }
    std::vector<std::vector<std::byte>> streams;
    for (const RansEncoder& encoder : encoders) streams.push_back(encoder.finish());
    if (expected.empty()) expected = streams;
    ASSERT_EQ(streams, expected);
  }
  for (uint32_t s = 0; s < stream_count; ++s) {
    auto decoder = RansDecoder::open(expected[s], lanes);
    ASSERT_TRUE(decoder.ok());
    for (const auto& of_streams : runs) {
      std::vector<uint8_t> symbols(of_streams[s].symbols.size());
      ASSERT_TRUE(decoder
                      ->decode(std::span(coder.pointers).first(coder.count), of_streams[s].contexts,
                               lanes, symbols)
                      .ok());
      ASSERT_EQ(symbols, of_streams[s].symbols);
    }
    ASSERT_TRUE(decoder->finish().ok());
  }
}

TEST(RansEncode, EveryImplementationWritesTheSameStreams) {
  std::mt19937 random(63);
  for (size_t alphabet = 1; alphabet <= kMaxAlphabet; ++alphabet) {
    const Coder coder({random_frequencies(random, alphabet), {4096}, {4096}}, false);
    for (uint32_t streams = 1; streams <= kMaxEncodeStreams; ++streams)
      compare(random, coder, streams, kLanes);
    compare(random, coder, 1, 1 + below(random, kLanes));
  }
}

TEST(RansEncode, EveryImplementationWritesTheSamePasses) {
  std::mt19937 random(64);
  for (int trial = 0; trial < 60; ++trial) {
    const Coder coder(
        {random_frequencies(random, 1 + below(random, 3)),
         random_frequencies(random, 1 + below(random, 2)), random_frequencies(random, 2)},
        true);
    compare(random, coder, 1 + below(random, kMaxEncodeStreams), kLanes);
    compare(random, coder, 1, 1 + below(random, kLanes));
  }
}

// Frequencies at the ends of their range, where states are largest and smallest.
TEST(RansEncode, ExtremeFrequencies) {
  std::mt19937 random(65);
  const std::vector<std::vector<uint16_t>> tables = {
      {4095, 1},
      {1, 4095},
      {1, 1, 4094},
      {2048, 2048},
      {4096, 0},
      {0, 0, 4096},
      {1, 0, 0, 4095},
      {4066, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
       1,    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
  for (const auto& frequencies : tables) {
    const Coder coder({frequencies, {4096}, {4096}}, false);
    for (int trial = 0; trial < 20; ++trial) compare(random, coder, kMaxEncodeStreams, kLanes);
  }
}

}  // namespace
}  // namespace kvcast::kernels
