#include "kernels/gpu_check/matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/entropy/random_table.h"
#include "kernels/gpu_check/device_run.h"
#include "kernels/gpu_check/tensor.h"
#include "kernels/plane.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels::gpu_check {
namespace {

using Planes = std::vector<std::vector<std::byte>>;

// With channels: of a side that has none there is nothing to decode.
RandomSection some_section(std::mt19937& random) {
  RandomSection section = random_section(random);
  while (section.width() == 0) section = random_section(random);
  return section;
}

// A section, as scalar codes it, and its profile on the device.
struct Case {
  Case(DeviceRun& run, std::mt19937& random)
      : section(some_section(random)),
        scalar(section.profile, Implementation::kScalar),
        profile(section.profile),
        profile_dev(run.upload(profile.image())) {
    auto encoded =
        encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
    if (!encoded) throw std::runtime_error(encoded.fault().what);
    planes = std::move(encoded->planes);
    sinks = encode_sinks(section.profile, 0, section.side, section.tokens, section.dtype,
                         section.views());
  }
  Checked<std::vector<uint16_t>> coefficients(const Planes& of) const {
    const std::vector<std::span<const std::byte>> spans(of.begin(), of.end());
    return decode_coefficients(scalar, 0, section.side, section.tokens, spans);
  }

  RandomSection section;
  Codec scalar;
  DeviceProfile profile;
  DeviceRuntime::Owner profile_dev;
  Planes planes;
  std::vector<std::byte> sinks;
};

enum class RefusedBy { kNobody, kHost, kDevice };
struct OnDevice {
  RefusedBy refused = RefusedBy::kNobody;
  std::string why;
  std::vector<uint16_t> coefficients;
};

OnDevice coefficients_on_device(DeviceRun& run, const Case& of, const Planes& planes,
                                uint32_t max_sms) {
  PlaneBlock block;
  std::vector<DevicePlane> placed;
  for (const auto& plane : planes) placed.push_back(block.add(plane));
  SectionToDecode section;
  section.side = of.section.side;
  section.tokens = of.section.tokens;
  section.planes = placed;
  const auto plan = DecodePlan::make_coefficients(of.profile, {&section, 1}, block.bytes().size());
  if (!plan) return {RefusedBy::kHost, plan.fault().what, {}};
  const auto planes_dev = run.upload(block.bytes());
  const auto decoded = run.decode(*plan, of.profile_dev.get(), planes_dev.get(), max_sms);
  if (const Check sound = plan->check_errors(decoded.errors); !sound) {
    return {RefusedBy::kDevice, sound.fault().what, {}};
  }
  const uint32_t coded = of.section.tokens.count - of.section.profile.sinks_in(of.section.tokens);
  OnDevice result;
  result.coefficients.resize(size_t{coded} *
                             of.section.profile.section(0, of.section.side).coefficients());
  const size_t bytes = result.coefficients.size() * sizeof(uint16_t);
  const auto* from = static_cast<const std::byte*>(decoded.scratch.get());
  const auto copy = run.download(from + plan->coefficients_offset(0), bytes);
  if (bytes > 0) std::memcpy(result.coefficients.data(), copy.data(), bytes);
  return result;
}

void fail(CheckResult& result, uint64_t at, const std::string& why) {
  if (result.failures++ == 0) result.first_failure = "case " + std::to_string(at) + ": " + why;
}

Planes first(const Planes& planes, size_t count) {
  return {planes.begin(), planes.begin() + static_cast<ptrdiff_t>(count)};
}

// KV of planes [0, count) in one layout, compared with scalar's; answers how many values differ.
uint64_t compare_kv(DeviceRun& run, const Case& of, size_t count, TensorShape shape,
                    std::mt19937& random, std::string& wrong) {
  const RandomSection& section = of.section;
  PlaneBlock block;
  std::vector<DevicePlane> placed;
  std::vector<std::span<const std::byte>> spans;
  for (size_t n = 0; n < count; ++n) {
    placed.push_back(block.add(of.planes[n]));
    spans.push_back(of.planes[n]);
  }
  TestTensor tensor(shape, section, random);
  const auto tensor_dev = run.filled(tensor.bytes(), TestTensor::kUntouched);
  const std::vector<std::byte*> layers = tensor.layers(static_cast<std::byte*>(tensor_dev.get()));
  SectionToDecode to_decode;
  to_decode.side = section.side;
  to_decode.tokens = section.tokens;
  to_decode.planes = placed;
  if (!of.sinks.empty()) to_decode.sinks = block.add(of.sinks);
  to_decode.destination = tensor.destination(layers);
  const auto plan =
      DecodePlan::make(of.profile, section.dtype, {&to_decode, 1}, block.bytes().size());
  if (!plan) {
    wrong = plan.fault().what;
    return 0;
  }
  const auto planes_dev = run.upload(block.bytes());
  const auto decoded =
      run.decode(*plan, of.profile_dev.get(), planes_dev.get(), 1 + below(random, 4));
  if (const Check sound = plan->check_errors(decoded.errors); !sound) {
    wrong = sound.fault().what;
    return 0;
  }
  Destination expected(section);
  const Check scalar = decode_section(of.scalar, 0, section.side, section.tokens, section.dtype,
                                      spans, of.sinks, expected.views());
  if (!scalar) throw std::runtime_error(scalar.fault().what);
  return tensor.compare(run.download(tensor_dev.get(), tensor.bytes()), section, expected, wrong);
}

}  // namespace

CheckResult check_coefficients(DeviceRuntime& device, uint32_t sections, uint32_t seed) {
  CheckResult result{"coefficients, bit for bit", 0, 0, {}, {}};
  DeviceRun run(device);
  std::mt19937 random(seed);
  for (uint32_t i = 0; i < sections; ++i) {
    const Case one(run, random);
    for (size_t count = 1; count <= one.planes.size(); ++count, ++result.cases) {
      const Planes planes = first(one.planes, count);
      const auto expected = one.coefficients(planes);
      const OnDevice got = coefficients_on_device(run, one, planes, 1 + below(random, 4));
      if (got.refused != RefusedBy::kNobody) {
        fail(result, result.cases, got.why);
      } else if (got.coefficients != *expected) {
        fail(result, result.cases, "other coefficients than scalar's");
      }
    }
  }
  return result;
}

CheckResult check_kv(DeviceRuntime& device, uint32_t sections, uint32_t seed) {
  CheckResult result{"KV in every layout, within a place", 0, 0, {}, {}};
  DeviceRun run(device);
  std::mt19937 random(seed);
  uint64_t differ = 0, values = 0;
  for (uint32_t i = 0; i < sections;) {
    const Case one(run, random);
    if (is_fp8(one.section.dtype)) continue;
    ++i;
    for (size_t count = 1; count <= one.planes.size(); ++count) {
      for (const TensorShape shape : kTensorShapes) {
        std::string wrong;
        differ += compare_kv(run, one, count, shape, random, wrong);
        values += uint64_t{one.section.tokens.count} * one.section.width();
        if (!wrong.empty()) {
          fail(result, result.cases, std::string(tensor_shape_name(shape)) + ": " + wrong);
        }
        ++result.cases;
      }
    }
  }
  result.note = std::to_string(differ) + " of " + std::to_string(values) +
                " values differ from scalar's, by a place";
  return result;
}

CheckResult check_damage(DeviceRuntime& device, uint32_t planes, uint32_t seed) {
  CheckResult result{"damaged planes, judged as scalar does", 0, 0, {}, {}};
  DeviceRun run(device);
  std::mt19937 random(seed);
  uint64_t by_host = 0, by_device = 0;
  constexpr uint32_t kOfOneSection = 25;
  while (result.cases < planes) {
    const Case one(run, random);
    for (uint32_t i = 0; i < kOfOneSection && result.cases < planes; ++i, ++result.cases) {
      Planes damaged = one.planes;
      auto& plane = damaged[below(random, damaged.size())];
      if (plane.empty()) continue;
      if (below(random, 4) == 0) {
        plane.resize(below(random, plane.size()));
      } else {
        plane[below(random, plane.size())] ^=
            std::byte{static_cast<uint8_t>(1u << below(random, 8))};
      }
      const auto expected = one.coefficients(damaged);
      const OnDevice got = coefficients_on_device(run, one, damaged, 0);
      by_host += got.refused == RefusedBy::kHost;
      by_device += got.refused == RefusedBy::kDevice;
      if ((got.refused == RefusedBy::kNobody) != expected.ok()) {
        fail(result, result.cases,
             expected ? "refused: " + got.why : "taken, but scalar says " + expected.fault().what);
      } else if (expected && got.coefficients != *expected) {
        fail(result, result.cases, "other coefficients than scalar's");
      }
    }
  }
  result.note = std::to_string(by_host) + " refused on the host, " + std::to_string(by_device) +
                " by the device, the others harmless";
  return result;
}

}  // namespace kvcast::kernels::gpu_check
