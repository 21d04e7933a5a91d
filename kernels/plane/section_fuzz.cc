// Plane sections of a fixed set of profiles, decoded by every implementation that runs here: the
// same verdict, and the same coefficients where it is good. The first byte chooses the profile, its
// top bit how the planes are made: from each plane's u32 length and bytes, or by edits to good ones
// (the second byte says to which; 255: to the sinks).
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "kernels/plane.h"
#include "kernels/plane/random_section.h"
#include "tests/fuzz/edits.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace kvcast::kernels;
using Bytes = std::vector<std::byte>;
using Outcome = std::optional<std::vector<uint16_t>>;

constexpr uint8_t kSubjects = 32;
constexpr uint8_t kByEdits = 0x80;
constexpr uint8_t kSinks = 0xFF;

struct Subject {
  RandomSection section;
  std::vector<Codec> codecs;
  std::vector<Bytes> planes;
  Bytes sinks;
};

const Subject& subject(uint8_t seed) {
  static std::map<uint8_t, Subject> subjects;
  const auto [at, is_new] = subjects.try_emplace(seed);
  Subject& made = at->second;
  if (!is_new) return made;
  std::mt19937 random(seed);
  RandomSection& section = made.section = random_section(random);
  for (const Implementation implementation : implementations()) {
    if (runs_here(implementation)) made.codecs.emplace_back(section.profile, implementation);
  }
  made.planes = encode_section(made.codecs.front(), section.group, section.side, section.tokens,
                               section.dtype, section.views())
                    ->planes;
  made.sinks = encode_sinks(section.profile, section.group, section.side, section.tokens,
                            section.dtype, section.views());
  return made;
}

std::vector<Bytes> split(std::span<const uint8_t> input) {
  std::vector<Bytes> planes;
  while (input.size() >= 4) {
    uint32_t stated;
    std::memcpy(&stated, input.data(), 4);
    input = input.subspan(4);
    const auto plane = std::as_bytes(input.first(std::min<size_t>(stated, input.size())));
    planes.emplace_back(plane.begin(), plane.end());
    input = input.subspan(plane.size());
  }
  return planes;
}

std::vector<Bytes> edited(std::vector<Bytes> planes, std::span<const uint8_t> input) {
  if (input.empty() || input[0] == kSinks) return planes;
  kvcast::fuzz::apply_edits(planes[input[0] % planes.size()], input.subspan(1));
  return planes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const Subject& with = subject(data[0] % kSubjects);
  const RandomSection& section = with.section;
  const std::span input(data + 1, size - 1);
  const std::vector<Bytes> planes = data[0] & kByEdits ? edited(with.planes, input) : split(input);
  if (planes.empty() || planes.size() > section.profile.levels) return 0;
  const std::vector<std::span<const std::byte>> spans(planes.begin(), planes.end());

  std::vector<Outcome> outcomes;
  for (const Codec& codec : with.codecs) {
    auto decoded = decode_coefficients(codec, section.group, section.side, section.tokens, spans);
    outcomes.push_back(decoded ? Outcome(std::move(*decoded)) : std::nullopt);
    kvcast::fuzz::expect(outcomes.back() == outcomes.front(), "implementations agree");
  }
  const bool other_sinks = data[0] & kByEdits && size > 1 && data[1] == kSinks;
  Bytes sinks = with.sinks;
  if (other_sinks) kvcast::fuzz::apply_edits(sinks, input.subspan(1));
  Destination destination(section);
  const Check check =
      decode_section(with.codecs.back(), section.group, section.side, section.tokens, section.dtype,
                     spans, sinks, destination.views());
  kvcast::fuzz::expect(check.ok() == outcomes.front().has_value() || other_sinks,
                       "both ways to decode agree");
  kvcast::fuzz::expect(check.ok() <= (sinks.size() == with.sinks.size()),
                       "sinks of another size are a fault");
  kvcast::fuzz::expect(destination.gaps_untouched(), "nothing is written between the rows");
  return 0;
}
