#include "packager/calibrate/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace kvcast::packager {
namespace {

using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr Side kSides[] = {Side::kKey, Side::kValue};

Error usage(std::string what) {
  return {ErrorKind::kUsage, std::move(what)};
}

Status check_weights(const CalibrateParams& params, const kernels::Geometry& geometry) {
  if (params.error_weights.empty()) return {};
  if (params.scope == TransformScope::kChannel) {
    return usage("error weights need a transform: choose another scope than channel");
  }
  if (params.error_weights.size() != 2 * size_t{geometry.layers}) {
    return usage(fmt::format("error weights for {} of {} tensors", params.error_weights.size(),
                             2 * geometry.layers));
  }
  for (size_t i = 0; i < params.error_weights.size(); ++i) {
    const auto side = static_cast<Side>(i % 2);
    const std::vector<float>& weights = params.error_weights[i];
    const size_t want = size_t{geometry.channels(side)} * geometry.dim(side);
    const auto wrong = [&](const char* what) {
      return usage(fmt::format("error weights of layer {}, {}: {}", i / 2,
                               side == Side::kKey ? "keys" : "values", what));
    };
    if (weights.size() != want) return wrong("not one square matrix for each head");
    if (!std::all_of(weights.begin(), weights.end(), [](float w) { return std::isfinite(w); })) {
      return wrong("not finite");
    }
  }
  return {};
}

Status check_ladder(const std::vector<uint8_t>& ladder) {
  if (ladder.empty() || ladder.size() > kernels::kMaxLevels) {
    return usage(
        fmt::format("{} levels: 1 to {} are possible", ladder.size(), kernels::kMaxLevels));
  }
  if (ladder.front() > kernels::kMaxDropBits || ladder.back() != 0 ||
      !std::is_sorted(ladder.rbegin(), ladder.rend())) {
    return usage(fmt::format("the ladder must descend from at most {} dropped bits to 0",
                             kernels::kMaxDropBits));
  }
  return {};
}

uint32_t transform_layers(const CalibrateParams& params, uint32_t layers) {
  if (params.scope != TransformScope::kGroup) return 1;
  return params.group_layers == 0 ? layers : std::min(params.group_layers, layers);
}

// Layers of a section.
uint32_t section_layers(const CalibrateParams& params, const kernels::Geometry& geometry) {
  const uint32_t transformed = transform_layers(params, geometry.layers);
  if (params.together_layers > 0) return std::min(params.together_layers, geometry.layers);
  const uint32_t channels =
      transformed * std::max(geometry.channels(Side::kKey), geometry.channels(Side::kValue));
  const uint32_t transforms = (kSectionChannels + channels - 1) / channels;
  return static_cast<uint32_t>(
      std::min<uint64_t>(geometry.layers, uint64_t{transforms} * transformed));
}

kernels::SectionCodec plain_codec(const CalibrateParams& params, uint32_t width) {
  kernels::SectionCodec codec;
  codec.step = params.step;
  codec.rounding = params.rounding;
  codec.drop_bits = params.ladder;
  codec.mean.assign(width, 0.0f);
  codec.scale.assign(width, 1.0f);
  codec.order.resize(width);
  std::iota(codec.order.begin(), codec.order.end(), 0u);
  return codec;
}

}  // namespace

Status check_params(const CalibrateParams& params, const CacheSet& caches) {
  if (Status ladder = check_ladder(params.ladder); !ladder.ok()) return ladder;
  if (!(params.step > 0) || !std::isfinite(params.step)) return usage("the step must be above 0");
  if (!(params.rounding > 0 && params.rounding <= 0.5f)) {
    return usage("the rounding must be in (0, 0.5]");
  }
  if (!(params.least_variance >= 0)) return usage("the least variance must be 0 or above");
  if (params.max_fitted_classes > 40) return usage("at most 40 fitted classes have room");
  const kernels::Geometry& geometry = caches.geometry();
  if (!params.sensitivity.empty() && params.sensitivity.size() != 2 * size_t{geometry.layers}) {
    return usage(
        fmt::format("{} sensitivities for {} layers; one for each layer's keys and one "
                    "for its values are needed",
                    params.sensitivity.size(), geometry.layers));
  }
  if (const uint32_t transformed = transform_layers(params, geometry.layers);
      params.together_layers % transformed != 0) {
    return usage(fmt::format("{} layers together: not a multiple of the {} of a transform",
                             params.together_layers, transformed));
  }
  if (caches.coded_tokens(params.sink_tokens) < 2) {
    return usage("the caches hold sinks only; calibration needs some thousand tokens");
  }
  return check_weights(params, geometry);
}

size_t block_width(const CalibrateParams& params, const kernels::Profile& profile, Side side) {
  const kernels::Geometry& geometry = profile.geometry;
  if (params.scope == TransformScope::kChannel) return 1;
  if (params.scope == TransformScope::kHead) return geometry.dim(side);
  return size_t{transform_layers(params, geometry.layers)} * geometry.channels(side);
}

Result<kernels::Profile> plan_profile(const CalibrateParams& params, const CacheSet& caches) {
  const kernels::Geometry& geometry = caches.geometry();
  kernels::Profile profile;
  profile.geometry = geometry;
  profile.levels = static_cast<uint32_t>(params.ladder.size());
  profile.sink_tokens = params.sink_tokens;
  profile.ropes = caches.ropes();
  profile.layer_rope = caches.layer_rope();
  for (const Side side : kSides) {
    if (const size_t width = block_width(params, profile, side); width > kMaxTransformWidth) {
      return usage(
          fmt::format("a transform over {} channels; at most {} are supported: choose "
                      "fewer layers or --scope head",
                      width, kMaxTransformWidth));
    }
  }
  const uint32_t together = section_layers(params, geometry);
  for (uint32_t first = 0; first < geometry.layers; first += together) {
    profile.groups.push_back({first, std::min(together, geometry.layers - first)});
    for (const Side side : kSides) {
      const auto group = static_cast<uint32_t>(profile.groups.size() - 1);
      profile.sections.push_back(plain_codec(params, profile.section_width(group, side)));
    }
  }
  return profile;
}

}  // namespace kvcast::packager
