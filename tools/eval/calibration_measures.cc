#include "tools/eval/calibration_measures.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "kernels/rope.h"
#include "packager/calibrate.h"
#include "tools/engine/gradient.h"
#include "tools/eval/reference.h"
#include "tools/eval/section_trip.h"

namespace kvcast::eval {
namespace {

using kernels::Side;
using manifests::Result;
using manifests::Status;

constexpr float kProbeStep = 1.4f;  // coarse enough for KL to stand out, fine enough to be smooth
constexpr float kProbeRounding = 0.35f;  // a dead zone, as coarse levels have
constexpr int kDraws = 4;  // of a continuation; their gradients differ as much as contexts' do
constexpr uint64_t kSeed = 1;
constexpr Side kSides[] = {Side::kKey, Side::kValue};

Result<kernels::Profile> probe_profile(const MeasureParams& params) {
  packager::CalibrateParams probe;
  probe.inputs = params.inputs;
  probe.scope = packager::TransformScope::kGroup;
  probe.group_layers = probe.together_layers = 1;
  probe.ladder = {0};
  probe.step = kProbeStep;
  probe.rounding = kProbeRounding;
  auto calibrated = packager::calibrate(probe);
  if (!calibrated.ok()) return calibrated.error();
  return std::move(calibrated->profile);
}

uint32_t context_tokens(const Reference& reference) {
  return static_cast<uint32_t>(reference.tokens.size());
}

// A token after each, drawn from the model's distribution.
std::vector<uint32_t> draw_tokens(const std::vector<float>& logits, size_t vocabulary,
                                  std::mt19937_64& random) {
  std::vector<uint32_t> drawn;
  std::vector<double> sums(vocabulary);
  for (auto row = logits.begin(); row != logits.end(); row += std::ptrdiff_t(vocabulary)) {
    const double top = *std::max_element(row, row + std::ptrdiff_t(vocabulary));
    double sum = 0;
    for (size_t v = 0; v < vocabulary; ++v) {
      sums[v] = sum += std::exp(double{row[std::ptrdiff_t(v)]} - top);
    }
    const double at = sum * static_cast<double>(random() >> 11) * 0x1p-53;
    const auto token = std::upper_bound(sums.begin(), sums.end() - 1, at) - sums.begin();
    drawn.push_back(static_cast<uint32_t>(token));
  }
  return drawn;
}

// Adds the second moments of each head's rows, sinks left out, to [head][dim][dim].
void add_moments(std::span<const float> rows, size_t heads, size_t dim, size_t sinks,
                 std::vector<double>& moments) {
  using HeadRows =
      Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, 0,
                 Eigen::OuterStride<>>;
  const size_t channels = heads * dim;
  const auto tokens = Eigen::Index(rows.size() / channels - sinks), n = Eigen::Index(dim);
  for (size_t head = 0; head < heads; ++head) {
    const HeadRows x(rows.data() + sinks * channels + head * dim, tokens, n,
                     Eigen::OuterStride<>(Eigen::Index(channels)));
    const Eigen::MatrixXf product = x.transpose() * x;
    Eigen::Map<Eigen::MatrixXd>(moments.data() + head * dim * dim, n, n) += product.cast<double>();
  }
}

// One context's draws.
Status add_error_weights(const engine::Model& model, Reference& reference, uint32_t sink_tokens,
                         std::mt19937_64& random, std::vector<std::vector<double>>& moments) {
  const engine::ModelConfig& config = model.config();
  const uint32_t tokens = context_tokens(reference);
  const auto gradient =
      engine::ContinuationGradient::run(model, reference.cache, tokens, reference.continuation);
  if (!gradient.ok()) return gradient.error();
  const kernels::RopeTable rope(config.rope, 0, tokens);
  const size_t sinks = std::min(sink_tokens, tokens);
  for (int draw = 0; draw < kDraws; ++draw) {
    gradient->backward(draw_tokens(gradient->logits(), config.vocabulary, random),
                       [&](uint32_t layer, Side side, std::span<const float> of) {
                         std::vector<float> rows(of.begin(), of.end());
                         for (size_t at = 0; side == Side::kKey && at < rows.size();
                              at += config.head_dim) {
                           rope.undo(static_cast<uint32_t>(at / config.kv_channels()),
                                     {&rows[at], config.head_dim});
                         }
                         add_moments(rows, config.kv_heads, config.head_dim, sinks,
                                     moments[2 * size_t{layer} + static_cast<size_t>(side)]);
                       });
  }
  return {};
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

Result<std::vector<std::vector<float>>> measure_error_weights(
    const engine::Model& model, const MeasureParams& params, uint32_t sink_tokens,
    const std::function<void(double)>& on_done) {
  const engine::ModelConfig& config = model.config();
  std::vector<std::vector<double>> moments(
      2 * size_t{config.layers},
      std::vector<double>(size_t{config.kv_channels()} * config.head_dim));
  std::mt19937_64 random(kSeed);
  double done = 0;
  for (const std::string& path : params.inputs) {
    auto reference = load_reference(model, path, params.continuation, params.threads);
    if (!reference.ok()) return reference.error();
    if (Status added = add_error_weights(model, *reference, sink_tokens, random, moments);
        !added.ok()) {
      return added.error();
    }
    on_done((done += 1) / static_cast<double>(params.inputs.size()));
  }
  std::vector<std::vector<float>> weights;
  for (const std::vector<double>& sums : moments) {
    const double largest = *std::max_element(sums.begin(), sums.end());  // on a diagonal
    std::vector<float>& to = weights.emplace_back();
    for (const double sum : sums) {
      to.push_back(largest > 0 ? static_cast<float>(sum / largest) : 0.0f);
    }
  }
  return weights;
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
