#include "tools/eval/calibration_measures.h"

#include <algorithm>
#include <utility>

#include "packager/calibrate.h"
#include "tools/eval/reference.h"
#include "tools/eval/section_trip.h"

namespace kvcast::eval {
namespace {

using kernels::Side;
using manifests::Result;
using manifests::Status;

constexpr float kProbeStep = 1.4f;  // coarse enough for KL to stand out, fine enough to be smooth
constexpr Side kSides[] = {Side::kKey, Side::kValue};

Result<kernels::Profile> probe_profile(const MeasureParams& params) {
  packager::CalibrateParams probe;
  probe.inputs = params.inputs;
  probe.scope = packager::TransformScope::kGroup;
  probe.group_layers = 1;
  probe.levels = 1;
  probe.step = kProbeStep;
  auto calibrated = packager::calibrate(probe);
  if (!calibrated.ok()) return calibrated.error();
  return std::move(calibrated->profile);
}

uint32_t context_tokens(const Reference& reference) {
  return static_cast<uint32_t>(reference.tokens.size());
}

struct LevelSums {
  double squared_error = 0, energy = 0, top1_agreement = 0;
};

// Adds one context's distortion and agreement at every level.
Status add_levels(const engine::Model& model, const kernels::Codec& codec,
                  const Reference& reference, unsigned threads, std::vector<LevelSums>& levels) {
  const kernels::Profile& profile = codec.profile();
  const uint32_t tokens = context_tokens(reference);
  std::vector<kernels::EncodedSection> sections;
  for (uint32_t group = 0; group < profile.groups.size(); ++group) {
    for (const Side side : kSides) {
      auto encoded = encode_cache_section(codec, group, side, reference.cache, tokens);
      if (!encoded.ok()) return encoded.error();
      sections.push_back(std::move(*encoded));
    }
  }
  for (uint32_t level = 0; level < profile.levels; ++level) {
    engine::KvCache candidate = reference.cache;
    for (size_t s = 0; s < sections.size(); ++s) {
      Status decoded = decode_cache_section(codec, static_cast<uint32_t>(s / 2), kSides[s % 2],
                                            sections[s], level, tokens, candidate);
      if (!decoded.ok()) return decoded;
      levels[level].squared_error += sections[s].squared_error[level];
      levels[level].energy += sections[s].energy;
    }
    const auto verdict = judge(model, reference, candidate, threads);
    if (!verdict.ok()) return verdict.error();
    levels[level].top1_agreement += verdict->top1_agreement;
  }
  return {};
}

}  // namespace

Result<std::vector<double>> measure_sensitivity(const engine::Model& model,
                                                const MeasureParams& params,
                                                const std::function<void(double)>& on_done) {
  const auto profile = probe_profile(params);
  if (!profile.ok()) return profile.error();
  const kernels::Codec codec(*profile);
  std::vector<double> sensitivity(2 * profile->geometry.layers);
  double done = 0;
  for (const std::string& path : params.inputs) {
    const auto reference = load_reference(model, path, params.continuation, params.threads);
    if (!reference.ok()) return reference.error();
    for (size_t s = 0; s < sensitivity.size(); ++s) {
      const auto layer = static_cast<uint32_t>(s / 2);
      const uint32_t tokens = context_tokens(*reference);
      const auto encoded =
          encode_cache_section(codec, layer, kSides[s % 2], reference->cache, tokens);
      if (!encoded.ok()) return encoded.error();
      engine::KvCache candidate = reference->cache;
      Status decoded =
          decode_cache_section(codec, layer, kSides[s % 2], *encoded, 0, tokens, candidate);
      if (!decoded.ok()) return decoded.error();
      const auto verdict = judge(model, *reference, candidate, params.threads);
      if (!verdict.ok()) return verdict.error();
      sensitivity[s] += verdict->mean_kl / (double{kProbeStep} * kProbeStep) /
                        static_cast<double>(params.inputs.size());
      on_done((done += 1) / static_cast<double>(sensitivity.size() * params.inputs.size()));
    }
  }
  return sensitivity;
}

Result<std::vector<kernels::AgreementPoint>> measure_agreement(
    const engine::Model& model, const kernels::Profile& profile, const MeasureParams& params,
    const std::function<void(double)>& on_done) {
  const kernels::Codec codec(profile);
  std::vector<LevelSums> levels(profile.levels);
  double done = 0;
  for (const std::string& path : params.inputs) {
    const auto reference = load_reference(model, path, params.continuation, params.threads);
    if (!reference.ok()) return reference.error();
    if (Status added = add_levels(model, codec, *reference, params.threads, levels); !added.ok()) {
      return added.error();
    }
    on_done((done += 1) / static_cast<double>(params.inputs.size()));
  }
  std::vector<kernels::AgreementPoint> points{{0, 1}};
  for (const LevelSums& level : levels) {
    points.push_back(
        {static_cast<float>(level.squared_error / level.energy),
         static_cast<float>(level.top1_agreement / static_cast<double>(params.inputs.size()))});
  }
  std::sort(points.begin(), points.end(),
            [](const auto& a, const auto& b) { return a.distortion < b.distortion; });
  return points;
}

}  // namespace kvcast::eval
