#include "kernels/first_chunk.h"

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/plane/channels.h"
#include "kernels/plane/section_shape.h"
#include "kernels/statistics/moments.h"
#include "kernels/statistics/parametric_classes.h"
#include "kernels/statistics/symbol_statistics.h"
#include "kernels/statistics/train_classes.h"

namespace kvcast::kernels {
namespace {

Check check_params(const FirstChunkParams& params) {
  if (params.levels < 1 || params.levels > kMaxLevels) return Fault{"levels are not 1 to 8"};
  if (!(params.step > 0) || !std::isfinite(params.step)) {
    return Fault{"the step is not finite and positive"};
  }
  if (!(params.rounding > 0 && params.rounding <= 0.5f)) {
    return Fault{"the rounding is not in (0, 0.5]"};
  }
  return {};
}

// One bit a level: the coarsest drops levels - 1, the finest none.
std::vector<uint8_t> ladder(uint32_t levels) {
  std::vector<uint8_t> drop_bits(levels);
  std::iota(drop_bits.rbegin(), drop_bits.rend(), uint8_t{0});
  return drop_bits;
}

// Coefficients are the channels as they are.
SectionCodec plain_codec(uint32_t width, const FirstChunkParams& params) {
  SectionCodec codec;
  codec.step = params.step;
  codec.rounding = params.rounding;
  codec.drop_bits = ladder(params.levels);
  codec.mean.assign(width, 0.0f);
  codec.scale.assign(width, 1.0f);
  codec.order.resize(width);
  std::iota(codec.order.begin(), codec.order.end(), 0u);
  return codec;
}

// Everything but moments and tables.
Profile plain_profile(const Geometry& geometry, std::vector<Rope> ropes,
                      std::vector<uint8_t> layer_rope, const FirstChunkParams& params) {
  Profile profile;
  profile.geometry = geometry;
  profile.levels = params.levels;
  profile.sink_tokens = params.sink_tokens;
  profile.ropes = std::move(ropes);
  profile.layer_rope = std::move(layer_rope);
  for (uint32_t layer = 0; layer < geometry.layers; ++layer) {
    profile.groups.push_back({layer, 1});
    for (const Side side : {Side::kKey, Side::kValue}) {
      profile.sections.push_back(plain_codec(geometry.channels(side), params));
    }
  }
  return profile;
}

// Sets mean and scale of one channel group's channels, normalises `x`, [tokens][lanes], in place,
// and answers its symbols.
ClassStatistics measure_group(SectionCodec& codec, size_t first_channel, uint32_t lanes,
                              std::span<float> x, bool few_tokens) {
  const auto tokens = static_cast<uint32_t>(x.size() / lanes);
  const Moments moments = measure_moments(x, tokens, lanes, few_tokens);
  for (size_t lane = 0; lane < lanes; ++lane) {
    codec.mean[first_channel + lane] = moments.mean[lane];
    codec.scale[first_channel + lane] = moments.scale[lane];
  }
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = (x[i] - moments.mean[i % lanes]) / moments.scale[i % lanes];
  }
  return symbol_statistics(x, codec.step, codec.rounding, codec.drop_bits[0]);
}

// Sets the moments of one section and adds its channel groups' symbols. `measured`: the profile
// whose sinks are left out.
Check measure_section(const Profile& measured, uint32_t layer, Side side, TokenRange tokens,
                      DType dtype, TensorView view, bool few_tokens, SectionCodec& codec,
                      std::vector<ClassStatistics>& groups) {
  const auto shape = shape_of_section(measured, layer, side, tokens);
  if (!shape) return shape.fault();
  auto x = load_coefficients(*shape, dtype, std::span(&view, 1));
  if (!x) {
    const char* name = side == Side::kKey ? "keys: " : "values: ";
    return Fault{name + x.fault().what, x.fault().offset};
  }
  for (uint32_t g = 0; g < shape->groups; ++g) {
    const size_t first_channel = size_t{g} * kLanes;
    const auto of_group = std::span(*x).subspan(first_channel * shape->coded_tokens,
                                                size_t{shape->lanes(g)} * shape->coded_tokens);
    groups.push_back(measure_group(codec, first_channel, shape->lanes(g), of_group, few_tokens));
  }
  return {};
}

}  // namespace

Checked<Profile> measure_first_chunk(const Geometry& geometry, std::vector<Rope> ropes,
                                     std::vector<uint8_t> layer_rope, TokenRange tokens,
                                     DType dtype, std::span<const TensorView> keys,
                                     std::span<const TensorView> values,
                                     const FirstChunkParams& params) {
  if (const Check checked = check_params(params); !checked) return checked.fault();
  const std::vector<ClassStatistics> family =
      parametric_statistics(params.levels - 1, params.rounding);
  Profile profile = plain_profile(geometry, std::move(ropes), std::move(layer_rope), params);
  for (const ClassStatistics& member : family) profile.classes.push_back(build_class(member));
  if (const Check valid = validate(profile); !valid) return valid.fault();
  if (keys.size() != geometry.layers || values.size() != geometry.layers) {
    throw std::invalid_argument("not one view of keys and of values for each layer");
  }

  // A chunk of nothing but sinks says little of later tokens, but more than nothing.
  Profile measured = profile;
  const bool few_tokens = profile.sinks_in(tokens) == tokens.count;
  if (few_tokens) measured.sink_tokens = 0;
  std::vector<ClassStatistics> groups;
  for (uint32_t layer = 0; layer < geometry.layers && tokens.count > 0; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      const TensorView view = (side == Side::kKey ? keys : values)[layer];
      SectionCodec& codec = profile.sections[2 * layer + static_cast<uint32_t>(side)];
      const Check section =
          measure_section(measured, layer, side, tokens, dtype, view, few_tokens, codec, groups);
      if (!section) return section.fault();
    }
  }
  if (few_tokens) return profile;
  for (ScaleClass& trained : train_classes(groups, family)) {
    profile.classes.push_back(std::move(trained));
  }
  return profile;
}

}  // namespace kvcast::kernels
