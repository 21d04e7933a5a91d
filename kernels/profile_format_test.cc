#include "kernels/profile_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "kernels/profile/random_profile.h"

namespace kvcast::kernels {
namespace {

using testing::HasSubstr;

std::vector<SectionView> views(const std::vector<Section>& sections) {
  std::vector<SectionView> views;
  for (const Section& section : sections) views.push_back({section.id, section.bytes});
  return views;
}

Checked<Profile> read(const std::vector<Section>& sections) {
  return read_profile(views(sections));
}

void put_u32(std::vector<std::byte>& bytes, size_t offset, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[offset + i] = static_cast<std::byte>(value >> 8 * i);
}

TEST(ProfileFormat, RoundTrips) {
  std::mt19937 random(20);
  for (int i = 0; i < 200; ++i) {
    const Profile profile = random_profile(random);
    const std::vector<Section> sections = write_profile(profile);
    const Checked<Profile> back = read(sections);
    ASSERT_TRUE(back.ok()) << back.fault().what;
    ASSERT_EQ(*back, profile);
    const std::vector<Section> again = write_profile(*back);
    ASSERT_EQ(again.size(), sections.size());
    for (size_t s = 0; s < sections.size(); ++s) ASSERT_EQ(again[s].bytes, sections[s].bytes);
  }
}

TEST(ProfileFormat, EveryTruncationIsAFault) {
  std::mt19937 random(21);
  for (int i = 0; i < 5; ++i) {
    const std::vector<Section> whole = write_profile(random_profile(random));
    for (size_t s = 0; s < whole.size(); ++s) {
      for (size_t bytes = 0; bytes < whole[s].bytes.size(); ++bytes) {
        std::vector<SectionView> cut = views(whole);
        cut[s].bytes = cut[s].bytes.first(bytes);
        ASSERT_FALSE(read_profile(cut).ok()) << "section " << s << " cut to " << bytes;
      }
    }
  }
}

TEST(ProfileFormat, ExtraBytesAndSectionsAreFaults) {
  std::mt19937 random(22);
  const std::vector<Section> whole = write_profile(random_profile(random));
  for (size_t s = 0; s < whole.size(); ++s) {
    std::vector<Section> longer = whole;
    longer[s].bytes.resize(longer[s].bytes.size() + 4);
    const Checked<Profile> profile = read(longer);
    ASSERT_FALSE(profile.ok());
    EXPECT_THAT(profile.fault().what, HasSubstr("left over"));
    std::vector<Section> fewer = whole;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(s));
    EXPECT_FALSE(read(fewer).ok());
    std::vector<Section> renamed = whole;
    renamed[s].id.group ^= 1;
    EXPECT_FALSE(read(renamed).ok());
  }
  EXPECT_FALSE(read_profile({}).ok());
}

TEST(ProfileFormat, FlippedBitsAnswerAFaultOrAValidProfile) {
  std::mt19937 random(23);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::mt19937 shape(1000 + static_cast<unsigned>(i % 16));
    std::vector<Section> sections = write_profile(random_profile(shape));
    std::vector<std::byte>& bytes = sections[random() % sections.size()].bytes;
    if (bytes.empty()) continue;
    for (uint32_t flips = 1 + static_cast<uint32_t>(random() % 3); flips > 0; --flips) {
      bytes[random() % bytes.size()] ^= static_cast<std::byte>(1u << random() % 8);
    }
    const Checked<Profile> profile = read(sections);
    if (profile.ok()) {
      ASSERT_TRUE(validate(*profile).ok());
    } else {
      ++refused;
      ASSERT_FALSE(profile.fault().what.empty());
    }
  }
  EXPECT_GT(refused, 400);
}

// Counts that would allocate gigabytes are refused by their limit or by the bytes that are left.
TEST(ProfileFormat, HugeCountsAreRefusedBeforeAllocation) {
  std::mt19937 random(24);
  const std::vector<Section> whole = write_profile(random_profile(random));
  for (const uint32_t huge : {0xFFFFFFFFu, 0x7FFFFFFFu, 0x00100000u}) {
    for (size_t offset = 0; offset < 40; offset += 4) {
      std::vector<Section> sections = whole;
      put_u32(sections[0].bytes, offset, huge);
      EXPECT_FALSE(read(sections).ok()) << "core field at " << offset;
    }
    for (size_t offset = 16; offset < 28; offset += 4) {
      std::vector<Section> sections = whole;
      put_u32(sections[1].bytes, offset, huge);
      EXPECT_FALSE(read(sections).ok()) << "section field at " << offset;
    }
    for (size_t offset = 0; offset < 12; offset += 4) {
      std::vector<Section> sections = whole;
      put_u32(sections.back().bytes, offset, huge);
      EXPECT_FALSE(read(sections).ok()) << "classes field at " << offset;
    }
  }
}

TEST(ProfileFormat, FaultsNameTheSection) {
  std::mt19937 random(25);
  std::vector<Section> sections = write_profile(random_profile(random));
  sections[2].bytes[29] = std::byte{1};
  const Checked<Profile> profile = read(sections);
  ASSERT_FALSE(profile.ok());
  EXPECT_THAT(profile.fault().what, HasSubstr("group 0 values"));
  EXPECT_THAT(profile.fault().what, HasSubstr("not zero"));
}

}  // namespace
}  // namespace kvcast::kernels
