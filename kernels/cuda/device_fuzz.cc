// Damaged planes of a fixed set of profiles, decoded by the emulated device: the verdict of the
// scalar reference, and its coefficients where it is good. Under AddressSanitizer an access out of
// bounds of any piece of device memory is found. The first byte chooses the profile, the second the
// plane; the rest are edits to it, as in tests/corpus/section.
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "kernels/cuda/emulated_decode.h"
#include "kernels/plane.h"
#include "kernels/plane/random_section.h"
#include "tests/fuzz/edits.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace kvcast::kernels;

constexpr uint8_t kSubjects = 32;

struct Subject {
  explicit Subject(uint8_t seed) : random(seed), section(random_section(random)) {}
  std::mt19937 random;
  RandomSection section;
  DeviceProfile device{section.profile};
  Codec scalar{section.profile, Implementation::kScalar};
  std::vector<std::vector<std::byte>> planes =
      encode_section(scalar, section.group, section.side, section.tokens, section.dtype,
                     section.views())
          ->planes;
};

const Subject& subject(uint8_t seed) {
  static std::map<uint8_t, Subject> subjects;
  return subjects.try_emplace(seed, seed).first->second;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const Subject& with = subject(data[0] % kSubjects);
  const RandomSection& section = with.section;
  auto planes = with.planes;
  kvcast::fuzz::apply_edits(planes[data[1] % planes.size()], {data + 2, size - 2});
  const std::vector<std::span<const std::byte>> spans(planes.begin(), planes.end());
  const auto expected =
      decode_coefficients(with.scalar, section.group, section.side, section.tokens, spans);

  PlanesBlock block;
  const auto placed = block.add_all(planes);
  const SectionToDecode to_decode{section.group, section.side, section.tokens, placed, {}, {}};
  const auto plan =
      DecodePlan::make_coefficients(with.device, {&to_decode, 1}, block.bytes().size());
  if (!plan) {
    kvcast::fuzz::expect(!expected.ok(), "the plan refuses what scalar does");
    return 0;
  }
  const EmulatedDecode decoded = decode_emulated(*plan, with.device, block.bytes());
  kvcast::fuzz::expect(plan->check_errors(decoded.errors).ok() == expected.ok(),
                       "the device judges as scalar does");
  const size_t bytes = expected ? expected->size() * sizeof(uint16_t) : 0;
  kvcast::fuzz::expect(
      bytes == 0 || std::memcmp(decoded.scratch.data() + plan->coefficients_offset(0),
                                expected->data(), bytes) == 0,
      "coefficients are those of scalar");
  return 0;
}
