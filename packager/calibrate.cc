#include "packager/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/class_training.h"
#include "kernels/coefficients.h"
#include "packager/calibrate/cache_set.h"
#include "packager/calibrate/covariance.h"
#include "packager/calibrate/section_fit.h"

namespace kvcast::packager {
namespace {

using kernels::Profile;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr double kLeastSensitivity = 1e-4;  // beside the largest: a measured 0 is noise
constexpr Side kSides[] = {Side::kKey, Side::kValue};

class Calibration {
 public:
  Calibration(const CalibrateParams& params, const CacheSet& caches,
              const CalibrateProgress& progress, std::stop_token stop)
      : params_(params), caches_(caches), progress_(progress), stop_(std::move(stop)) {}

  Status run() {
    if (Status checked = prepare(); !checked.ok()) return checked;
    if (Status fitted = fit(); !fitted.ok()) return fitted;
    if (Status trained = train(); !trained.ok()) return trained;
    if (const kernels::Check valid = validate(report_.profile); !valid) {
      return Error{ErrorKind::kCorrupt, "calibration: " + valid.fault().what};
    }
    return {};
  }
  CalibrateReport take() { return std::move(report_); }

 private:
  // A profile whose coefficients are the channels as they are.
  Status prepare();
  Status check_params() const;
  Status fit();
  Status train();
  std::vector<double> layer_weights(const kernels::LayerGroup& group, Side side) const;
  // [2 * group + side]: which components stay.
  std::vector<std::vector<bool>> kept_components(const kernels::ClassTraining& training) const;
  void drop_least_variance(std::vector<std::vector<bool>>& keep) const;
  void describe(const kernels::TrainedClasses& trained);
  void step_done() {
    steps_done_ += 1;
    if (progress_) {
      progress_(steps_done_ / (2 * static_cast<double>(report_.profile.sections.size())));
    }
  }

  const CalibrateParams& params_;
  const CacheSet& caches_;
  const CalibrateProgress& progress_;
  const std::stop_token stop_;
  CalibrateReport report_;
  std::vector<SectionFit> fits_;  // [2 * group + side]
  double steps_done_ = 0;
};

Status Calibration::check_params() const {
  const auto usage = [](std::string what) { return Error{ErrorKind::kUsage, std::move(what)}; };
  if (params_.levels < 1 || params_.levels > kernels::kMaxLevels) {
    return usage(
        fmt::format("{} levels: 1 to {} are possible", params_.levels, kernels::kMaxLevels));
  }
  if (!(params_.step > 0) || !std::isfinite(params_.step)) return usage("the step must be above 0");
  if (!(params_.rounding > 0 && params_.rounding <= 0.5f)) {
    return usage("the rounding must be in (0, 0.5]");
  }
  if (params_.max_fitted_classes > 40) return usage("at most 40 fitted classes have room");
  if (const size_t layers = caches_.geometry().layers;
      !params_.sensitivity.empty() && params_.sensitivity.size() != 2 * layers) {
    return usage(
        fmt::format("{} sensitivities for {} layers; one for each layer's keys and one "
                    "for its values are needed",
                    params_.sensitivity.size(), layers));
  }
  if (caches_.coded_tokens(params_.sink_tokens) < 2) {
    return usage("the caches hold sinks only; calibration needs some thousand tokens");
  }
  return {};
}

Status Calibration::prepare() {
  if (Status checked = check_params(); !checked.ok()) return checked;
  const kernels::Geometry& geometry = caches_.geometry();
  Profile& profile = report_.profile;
  profile.geometry = geometry;
  profile.levels = params_.levels;
  profile.sink_tokens = params_.sink_tokens;
  profile.ropes = caches_.ropes();
  profile.layer_rope.assign(geometry.layers, profile.ropes.empty() ? kernels::kNoRope : uint8_t{0});
  const uint32_t together =
      params_.group_layers == 0 ? geometry.layers : std::min(params_.group_layers, geometry.layers);
  for (uint32_t first = 0; first < geometry.layers; first += together) {
    const uint32_t layers = std::min(together, geometry.layers - first);
    profile.groups.push_back({first, layers});
    for (const Side side : kSides) {
      const uint32_t width = layers * geometry.channels(side);
      if (params_.scope == TransformScope::kGroup && width > kMaxTransformWidth) {
        return Error{ErrorKind::kUsage,
                     fmt::format("a transform over {} channels; at most {} are supported: choose "
                                 "fewer layers or --scope head",
                                 width, kMaxTransformWidth)};
      }
      kernels::SectionCodec codec;
      codec.step = params_.step;
      codec.rounding = params_.rounding;
      codec.drop_bits.resize(params_.levels);
      std::iota(codec.drop_bits.rbegin(), codec.drop_bits.rend(), uint8_t{0});
      codec.mean.assign(width, 0.0f);
      codec.scale.assign(width, 1.0f);
      codec.order.resize(width);
      std::iota(codec.order.begin(), codec.order.end(), 0u);
      profile.sections.push_back(std::move(codec));
    }
  }
  return {};
}

std::vector<double> Calibration::layer_weights(const kernels::LayerGroup& group, Side side) const {
  std::vector<double> weights(group.layers, 1.0);
  if (params_.sensitivity.empty()) return weights;
  const double most = *std::max_element(params_.sensitivity.begin(), params_.sensitivity.end());
  const auto clamped = [&](double s) { return std::max(s, kLeastSensitivity * most); };
  double log_sum = 0;
  for (const double s : params_.sensitivity) log_sum += std::log(clamped(s));
  const double middle = std::exp(log_sum / static_cast<double>(params_.sensitivity.size()));
  for (uint32_t i = 0; i < group.layers; ++i) {
    const size_t layer = group.first_layer + i;
    const double s = clamped(params_.sensitivity[2 * layer + static_cast<size_t>(side)]);
    weights[i] = std::sqrt(s / middle);
  }
  return weights;
}

Status Calibration::fit() {
  const Profile plain = report_.profile;
  for (uint32_t group = 0; group < plain.groups.size(); ++group) {
    for (const Side side : kSides) {
      const uint32_t width = plain.section_width(group, side);
      SectionFit& fitted = fits_.emplace_back();
      kernels::SectionCodec& codec =
          report_.profile.sections[2 * group + static_cast<size_t>(side)];
      if (width == 0) continue;
      const size_t block = params_.scope == TransformScope::kChannel ? 1
                           : params_.scope == TransformScope::kHead  ? plain.geometry.dim(side)
                                                                     : width;
      Covariance covariance(width, block);
      Status read = caches_.for_each_piece(
          plain.groups[group], side, stop_, [&](const CachePiece& piece) -> kernels::Check {
            const auto rows =
                section_coefficients(plain, group, side, piece.tokens, piece.dtype, piece.layers);
            if (!rows) return rows.fault();
            covariance.add(*rows);
            return {};
          });
      if (!read.ok()) return read;
      fitted = fit_section(covariance, layer_weights(plain.groups[group], side),
                           params_.scope != TransformScope::kChannel);
      fitted.codec.step = codec.step;
      fitted.codec.rounding = codec.rounding;
      fitted.codec.drop_bits = codec.drop_bits;
      codec = fitted.codec;
      step_done();
    }
  }
  return {};
}

std::vector<std::vector<bool>> Calibration::kept_components(
    const kernels::ClassTraining& training) const {
  std::vector<std::vector<bool>> keep;
  for (uint32_t group = 0; group < report_.profile.groups.size(); ++group) {
    for (const Side side : kSides) {
      const kernels::SectionCodec& codec = report_.profile.section(group, side);
      std::vector<bool>& kept = keep.emplace_back(codec.order.size(), true);
      if (codec.blocks.empty()) continue;
      for (uint32_t position = 0; position < codec.order.size(); ++position) {
        kept[codec.order[position]] =
            training.activity(group, side, position) > params_.least_activity;
      }
      kept[codec.order.front()] = true;  // a section has at least one coefficient
    }
  }
  drop_least_variance(keep);
  return keep;
}

void Calibration::drop_least_variance(std::vector<std::vector<bool>>& keep) const {
  if (params_.max_basis_bytes == 0) return;
  struct Candidate {
    double variance;
    size_t section, position;
    uint64_t bytes;
  };
  std::vector<Candidate> candidates;
  uint64_t bytes = 0;
  for (size_t s = 0; s < keep.size(); ++s) {
    const kernels::SectionCodec& codec = report_.profile.sections[s];
    if (codec.blocks.empty()) continue;
    for (size_t position = 0; position < codec.order.size(); ++position) {
      if (!keep[s][codec.order[position]]) continue;
      const uint64_t row = 2 * uint64_t{codec.blocks.front().width};
      bytes += row;
      if (position > 0) candidates.push_back({fits_[s].variance[position], s, position, row});
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.variance / static_cast<double>(a.bytes) < b.variance / static_cast<double>(b.bytes);
  });
  for (const Candidate& c : candidates) {
    if (bytes <= params_.max_basis_bytes) break;
    keep[c.section][report_.profile.sections[c.section].order[c.position]] = false;
    bytes -= c.bytes;
  }
}

Status Calibration::train() {
  const Profile whole = report_.profile;
  kernels::ClassTraining training(whole);
  for (uint32_t group = 0; group < whole.groups.size(); ++group) {
    for (const Side side : kSides) {
      if (whole.section_width(group, side) == 0) continue;
      Status read =
          caches_.for_each_piece(whole.groups[group], side, stop_, [&](const CachePiece& piece) {
            return training.add(group, side, piece.tokens, piece.dtype, piece.layers);
          });
      if (!read.ok()) return read;
      step_done();
    }
  }
  const std::vector<std::vector<bool>> keep = kept_components(training);
  std::vector<std::vector<uint32_t>> positions;
  for (size_t s = 0; s < keep.size(); ++s) {
    kernels::SectionCodec& codec = report_.profile.sections[s];
    if (codec.blocks.empty()) {
      std::vector<uint32_t>& all = positions.emplace_back(codec.order.size());
      std::iota(all.begin(), all.end(), 0u);
      continue;
    }
    positions.push_back(truncate(codec, keep[s]));
    std::vector<double> variance;
    for (const uint32_t position : positions.back()) {
      variance.push_back(fits_[s].variance[position]);
    }
    fits_[s].variance = std::move(variance);
  }
  kernels::TrainedClasses trained = training.train(positions, params_.max_fitted_classes);
  describe(trained);
  report_.profile.classes = std::move(trained.classes);
  return {};
}

void Calibration::describe(const kernels::TrainedClasses& trained) {
  const Profile& profile = report_.profile;
  report_.tokens = caches_.coded_tokens(params_.sink_tokens);
  const double noise = double{params_.step} * params_.step / 12;
  for (uint32_t group = 0; group < profile.groups.size(); ++group) {
    for (const Side side : kSides) {
      const size_t s = 2 * group + static_cast<size_t>(side);
      const kernels::SectionCodec& codec = profile.sections[s];
      CalibratedSection section;
      section.group = group;
      section.side = side;
      section.width = profile.section_width(group, side);
      section.coefficients = codec.coefficients();
      for (const kernels::TransformBlock& block : codec.blocks) {
        report_.basis_bytes += 2 * uint64_t{block.rank} * block.width;
      }
      if (section.width > 0) {
        double log_sum = std::log(noise) * (section.width - section.coefficients);
        for (const double v : fits_[s].variance) log_sum += std::log(std::max(v, noise));
        section.coding_gain_db = 10 * std::log10(fits_[s].channel_variance) -
                                 10 / std::log(10.0) * log_sum / section.width;
        section.bits_per_element =
            trained.section_bits[s] / section.width / static_cast<double>(report_.tokens);
        section.variance = std::move(fits_[s].variance);
      }
      report_.sections.push_back(std::move(section));
    }
  }
}

}  // namespace

Result<CalibrateReport> calibrate(const CalibrateParams& params, const CalibrateProgress& progress,
                                  std::stop_token stop) {
  auto caches = CacheSet::open(params.inputs);
  if (!caches.ok()) return caches.error();
  Calibration calibration(params, *caches, progress, std::move(stop));
  if (Status ran = calibration.run(); !ran.ok()) return ran.error();
  return calibration.take();
}

}  // namespace kvcast::packager
