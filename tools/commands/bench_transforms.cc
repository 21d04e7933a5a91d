#include "tools/commands/bench_transforms.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <numbers>

#include "kernels/implementation.h"
#include "kernels/rope.h"
#include "tools/commands/bench_measure.h"
#include "tools/commands/bench_sections.h"
#include "tools/commands/bench_symbols.h"

namespace kvcast::tools {
namespace {

using kernels::Implementation;
using kernels::Side;

constexpr uint32_t kTokens = 1024, kWidth = 1024;
constexpr kernels::Geometry kGeometry{8, 2, 64, 2, 64};
constexpr double kBits = 1.5;  // of the base

// DCT-II: orthonormal, and dense like any other.
kernels::TransformBlock block(uint32_t first_channel, uint32_t width) {
  kernels::TransformBlock made{first_channel, width, width, {}};
  for (uint32_t row = 0; row < width; ++row) {
    const double norm = std::sqrt((row == 0 ? 1.0 : 2.0) / width);
    for (uint32_t c = 0; c < width; ++c) {
      const double angle = std::numbers::pi / width * (c + 0.5) * row;
      made.basis.push_back(kernels::f32_to_bf16(static_cast<float>(norm * std::cos(angle))));
    }
  }
  return made;
}

kernels::Profile profile_of(const std::vector<double>& distribution, uint32_t block_width) {
  kernels::Profile profile = plain_profile(kGeometry, distribution, {3, 2, 1, 0});
  profile.ropes = {{kernels::Rope::Layout::kHalfSplit, 0, 1.0,
                    kernels::rope_frequencies(10000, kGeometry.key_dim)}};
  profile.layer_rope.assign(kGeometry.layers, 0);
  for (kernels::SectionCodec& section : profile.sections) {
    for (uint32_t first = 0; block_width > 0 && first < kWidth; first += block_width)
      section.blocks.push_back(block(first, block_width));
  }
  return profile;
}

// The same planes are decoded with every transform; what comes out is then encoded with it.
struct Work {
  Work(const std::vector<double>& distribution, uint32_t block_width,
       const std::vector<BenchSections::Section>& planes)
      : profile(profile_of(distribution, block_width)),
        chunk(kGeometry, {0, kTokens}, kernels::DType::kBf16),
        out(chunk),
        sections(profile, chunk, planes) {
    sections.decode_to_kv(kernels::Codec(profile), profile.levels, chunk);
  }
  kernels::Profile profile;
  ChunkBytes chunk, out;
  BenchSections sections;
};

std::vector<BenchSections::Section> planes_of(const std::vector<double>& distribution) {
  kernels::Profile profile = profile_of(distribution, 0);
  profile.layer_rope.assign(kGeometry.layers, kernels::kNoRope);
  ChunkBytes chunk(kGeometry, {0, kTokens}, kernels::DType::kBf16);
  const std::vector<uint16_t> values = draw_bf16(distribution, 2 * size_t{kTokens} * kWidth);
  const auto* next = reinterpret_cast<const std::byte*>(values.data());
  for (auto& tensor : chunk.kv) {
    tensor.assign(next, next + tensor.size());
    next += tensor.size();
  }
  return BenchSections(profile, chunk).sections();
}

}  // namespace

std::vector<nlohmann::json> transform_rows(const BenchRounds& rounds) {
  const std::vector<double> distribution = on_finer_scale(kBits, 8);
  const auto planes = planes_of(distribution);
  std::vector<BenchCase> cases;
  for (const uint32_t block_width : {0u, 64u, 128u, kWidth}) {
    const auto work = std::make_shared<Work>(distribution, block_width, planes);
    const std::string scope = block_width == 0        ? "no transform"
                              : block_width == kWidth ? "transform of all layers, 1024 wide"
                              : block_width == 64     ? "transform of a head, 64 wide"
                                                      : "transform of a layer, 128 wide";
    const uint32_t levels = work->profile.levels;
    const double bits = work->sections.bits_per_element(levels);
    const double elements = work->sections.elements();
    for (const Implementation implementation : kernels::implementations()) {
      if (!kernels::runs_here(implementation)) continue;
      const std::string name = kernels::implementation_name(implementation);
      const auto codec = std::make_shared<kernels::Codec>(work->profile, implementation);
      cases.push_back({"chunk, four planes to KV, " + scope, name, elements, work->sections.bytes(),
                       bits, [=] { work->sections.decode_to_kv(*codec, levels, work->out); }});
      cases.push_back({"chunk, KV to four planes, " + scope, name, elements, elements * bits / 8,
                       bits, [=] { work->sections.encode(*codec); }});
    }
  }
  return measure(cases, rounds);
}

}  // namespace kvcast::tools
