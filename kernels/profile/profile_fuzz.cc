// Profiles, in the form of tests/golden/profile: sections behind u16 kind, u16 group, u32 side,
// u32 bytes. What is read is valid, can be written, and reads back the same.
#include <algorithm>
#include <vector>

#include "kernels/plane.h"
#include "kernels/profile_format.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace kvcast::kernels;

uint32_t take(std::span<const std::byte>& bytes, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= std::to_integer<uint32_t>(bytes[i]) << 8 * i;
  bytes = bytes.subspan(count);
  return value;
}

std::vector<SectionView> split(std::span<const std::byte> bytes) {
  std::vector<SectionView> sections;
  while (bytes.size() >= 12) {
    SectionView section;
    section.id.kind = static_cast<SectionKind>(take(bytes, 2));
    section.id.group = static_cast<uint16_t>(take(bytes, 2));
    section.id.side = take(bytes, 4) == 0 ? Side::kKey : Side::kValue;
    const size_t stated = take(bytes, 4);
    section.bytes = bytes.first(std::min(stated, bytes.size()));
    bytes = bytes.subspan(section.bytes.size());
    sections.push_back(section);
  }
  return sections;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto profile =
      read_profile(split(std::span(reinterpret_cast<const std::byte*>(data), size)));
  if (!profile) return 0;
  kvcast::fuzz::expect(validate(*profile).ok(), "a profile that was read is valid");
  std::vector<SectionView> views;
  const auto sections = write_profile(*profile);
  for (const Section& section : sections) views.push_back({section.id, section.bytes});
  const auto again = read_profile(views);
  kvcast::fuzz::expect(again.ok() && *again == *profile, "a profile survives writing");
  const Codec codec(*profile, Implementation::kScalar);
  return 0;
}
