// Sections whose bytes are not what a writer wrote: a fault or some values, never a crash (run
// under ASan too).
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/entropy/random_table.h"
#include "kernels/plane.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels {
namespace {

using Bytes = std::vector<std::byte>;

struct Victim {
  explicit Victim(RandomSection made) : section(std::move(made)), codec(section.profile) {
    encoded =
        *encode_section(codec, 0, section.side, section.tokens, section.dtype, section.views());
    sinks = encode_sinks(section.profile, 0, section.side, section.tokens, section.dtype,
                         section.views());
  }
  Check decode(const std::vector<Bytes>& planes) const {
    Destination destination(section);
    const std::vector<std::span<const std::byte>> spans(planes.begin(), planes.end());
    const Check check = decode_section(codec, 0, section.side, section.tokens, section.dtype, spans,
                                       sinks, destination.views());
    EXPECT_TRUE(destination.gaps_untouched());
    return check;
  }

  RandomSection section;
  Codec codec;
  EncodedSection encoded;
  Bytes sinks;
};

// Several layers and escapes, but small.
RandomSection small_section(std::mt19937& random) {
  for (;;) {
    RandomSection section = random_section(random);
    const bool small = section.tokens.count <= 40 && section.width() > 0 && section.width() <= 300;
    if (small && section.profile.levels > 1 && section.tokens.begin > 8) return section;
  }
}

TEST(DamagedPlane, EveryTruncationIsAFault) {
  std::mt19937 random(20);
  for (int trial = 0; trial < 3; ++trial) {
    const Victim victim(small_section(random));
    for (size_t plane = 0; plane < victim.encoded.planes.size(); ++plane) {
      std::vector<Bytes> planes(victim.encoded.planes.begin(),
                                victim.encoded.planes.begin() + static_cast<ptrdiff_t>(plane) + 1);
      while (!planes.back().empty()) {
        planes.back().pop_back();
        const Check check = victim.decode(planes);
        ASSERT_FALSE(check.ok()) << plane << " at " << planes.back().size();
        ASSERT_EQ(check.fault().what.rfind("plane " + std::to_string(plane) + ": ", 0), 0u)
            << check.fault().what;
      }
    }
  }
}

TEST(DamagedPlane, SurplusBytesAreAFault) {
  std::mt19937 random(21);
  const Victim victim(small_section(random));
  for (size_t plane = 0; plane < victim.encoded.planes.size(); ++plane) {
    for (const size_t surplus : {1, 2, 4}) {
      std::vector<Bytes> planes = victim.encoded.planes;
      planes[plane].resize(planes[plane].size() + surplus);
      EXPECT_FALSE(victim.decode(planes).ok());
    }
  }
}

TEST(DamagedPlane, FlippedBitsAreMostlyNoticed) {
  std::mt19937 random(22);
  int noticed = 0, trials = 0;
  for (int s = 0; s < 12; ++s) {
    const Victim victim(small_section(random));
    for (int trial = 0; trial < 150; ++trial) {
      std::vector<Bytes> planes = victim.encoded.planes;
      Bytes& plane = planes[below(random, planes.size())];
      if (plane.empty()) continue;
      for (uint32_t flips = 1 + below(random, 3); flips > 0; --flips) {
        // Headers are small and matter most.
        const size_t at = below(
            random, below(random, 2) == 0 ? plane.size() : std::min<size_t>(plane.size(), 64));
        plane[at] ^= std::byte{static_cast<uint8_t>(1u << below(random, 8))};
      }
      noticed += !victim.decode(planes).ok();
      ++trials;
    }
  }
  EXPECT_GT(noticed, trials * 9 / 10);
}

TEST(DamagedPlane, RandomBytesAreFaults) {
  std::mt19937 random(23);
  const Victim victim(small_section(random));
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<Bytes> planes = victim.encoded.planes;
    Bytes& plane = planes[below(random, planes.size())];
    plane.resize(1 + below(random, 400));
    for (std::byte& byte : plane)
      byte = std::byte{static_cast<uint8_t>(below(random, 3) == 0 ? below(random, 256) : 0)};
    EXPECT_FALSE(victim.decode(planes).ok());
  }
}

TEST(DamagedPlane, AnotherSectionsSinksAreAFault) {
  std::mt19937 random(24);
  Victim victim(small_section(random));
  victim.sinks.push_back(std::byte{0});
  EXPECT_FALSE(victim.decode(victim.encoded.planes).ok());
}

// One group of 8 channels, 2 tokens, class 0 of alphabet 4, one value that escapes. Base section:
// 16 bytes of header, class byte and padding, one stream entry at 20, the stream at 32 (8 states,
// words), the escape last.
class OneGroup : public testing::Test {
 protected:
  static RandomSection make() {
    RandomSection section;
    Profile& profile = section.profile;
    profile.geometry = {1, 1, 8, 1, 8};
    profile.groups = {{0, 1}};
    profile.levels = 2;
    profile.sink_tokens = 0;
    profile.layer_rope = {kNoRope};
    SectionCodec codec;
    codec.drop_bits = {1, 0};
    codec.mean.assign(8, 0);
    codec.scale.assign(8, 1);
    codec.order = {0, 1, 2, 3, 4, 5, 6, 7};
    profile.sections = {codec, codec};
    ScaleClass scale_class;
    scale_class.base.frequency = {1000, 2000, 1000, 96};
    scale_class.passes.push_back({{{{2096, 1000, 1000}}, {{2048, 2048}}, {{2048, 2048}}}});
    scale_class.reconstruction.assign(2, {0.5f, 0.5f});
    profile.classes = {scale_class};
    section.dtype = DType::kF32;
    section.tokens = {0, 2};
    section.token_stride_bytes = 32;
    section.rows.assign(1, Bytes(64));
    section.set_value(0, 0, 1, 1.0f);
    section.set_value(0, 1, 2, -20.0f);
    return section;
  }

  // Decodes with one number of a plane replaced.
  template <typename Number>
  std::string fault_with(size_t plane, size_t offset, Number number) const {
    std::vector<Bytes> planes = victim_.encoded.planes;
    EXPECT_LE(offset + sizeof(number), planes[plane].size());
    std::memcpy(planes[plane].data() + offset, &number, sizeof(number));
    const Check check = victim_.decode(planes);
    return check.ok() ? "no fault" : check.fault().what;
  }

  Victim victim_{make()};
};

TEST_F(OneGroup, IsFineUntouched) {
  EXPECT_TRUE(victim_.decode(victim_.encoded.planes).ok());
  EXPECT_EQ(victim_.encoded.planes[0].size() % 4, 2u);  // ends with an escape of two bytes
}

TEST_F(OneGroup, HeadersOfTheBase) {
  const auto expect = [&](const std::string& fault, const char* part) {
    EXPECT_NE(fault.find(part), std::string::npos) << fault;
  };
  expect(fault_with(0, 0, uint32_t{0}), "in no stream");
  expect(fault_with(0, 0, uint32_t{2}), "more streams");
  expect(fault_with(0, 0, ~uint32_t{0}), "more streams");
  expect(fault_with(0, 4, uint32_t{2}), "escapes");
  expect(fault_with(0, 4, ~uint32_t{0}), "escapes");
  expect(fault_with(0, 8, uint32_t{2}), "channel groups");
  expect(fault_with(0, 12, uint8_t{3}), "width");
  expect(fault_with(0, 12, uint8_t{4}), "bytes expected");
  expect(fault_with(0, 13, uint8_t{1}), "not zero");
  expect(fault_with(0, 16, uint8_t{1}), "class");
  expect(fault_with(0, 16, uint8_t{0x40}), "bit 6");
  expect(fault_with(0, 16, uint8_t{0x80}), "more streams");
  expect(fault_with(0, 17, uint8_t{1}), "not zero");
}

TEST_F(OneGroup, StreamEntries) {
  const auto expect = [&](const std::string& fault, const char* part) {
    EXPECT_NE(fault.find(part), std::string::npos) << fault;
  };
  expect(fault_with(0, 20, uint32_t{31}), "shorter than its 8 states");
  expect(fault_with(0, 20, ~uint32_t{0}), "ends early");
  expect(fault_with(0, 24, uint32_t{0}), "expected 1 to 1");
  expect(fault_with(0, 24, uint32_t{2}), "expected 1 to 1");
  expect(fault_with(0, 28, uint32_t{0}), "escapes");
  expect(fault_with(0, 32, uint32_t{0xFFFF}), "below 65536");
}

TEST_F(OneGroup, Passes) {
  const auto expect = [&](const std::string& fault, const char* part) {
    EXPECT_NE(fault.find(part), std::string::npos) << fault;
  };
  expect(fault_with(1, 0, uint32_t{0}), "in no stream");
  expect(fault_with(1, 4, uint8_t{1}), "more streams");
  expect(fault_with(1, 4, uint8_t{2}), "unused empty flag");
  expect(fault_with(1, 5, uint8_t{2}), "not zero");
  std::vector<Bytes> planes = victim_.encoded.planes;
  planes[1].clear();
  EXPECT_FALSE(victim_.decode(planes).ok());
}

TEST_F(OneGroup, EscapesBeyondTheLimit) {
  RandomSection section = make();
  section.set_value(0, 1, 2, -3e38f);
  Victim victim(std::move(section));
  Bytes& base = victim.encoded.planes[0];
  EXPECT_TRUE(victim.decode(victim.encoded.planes).ok());
  const int32_t beyond = -(1 << 29) - 1;  // doubled by the pass, it would exceed 2^30
  std::memcpy(base.data() + base.size() - 4, &beyond, 4);
  const Check check = victim.decode(victim.encoded.planes);
  ASSERT_FALSE(check.ok());
  EXPECT_NE(check.fault().what.find("beyond"), std::string::npos);
}

}  // namespace
}  // namespace kvcast::kernels
