#include "packager/calibrate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/class_training.h"
#include "kernels/coefficients.h"
#include "packager/calibrate/cache_set.h"
#include "packager/calibrate/covariance.h"
#include "packager/calibrate/plan.h"
#include "packager/calibrate/ranks.h"
#include "packager/calibrate/section_fit.h"
#include "packager/moments.h"
#include "packager/profile_object.h"

namespace kvcast::packager {
namespace {

using kernels::Profile;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr double kLeastSensitivity = 1e-4;  // beside the largest: a measured 0 is noise
// Of the mean weight, added to every direction: measured weights have directions that look free and
// are not.
constexpr double kIsotropicShare = 0.1;
constexpr uint64_t kClassesBytes = 64 * 160;  // more than the classes of a profile take
constexpr Side kSides[] = {Side::kKey, Side::kValue};

class Calibration {
 public:
  Calibration(const CalibrateParams& params, const CacheSet& caches,
              const CalibrateProgress& progress, std::stop_token stop)
      : params_(params), caches_(caches), progress_(progress), stop_(std::move(stop)) {}

  Status run() {
    if (Status checked = check_params(params_, caches_); !checked.ok()) return checked;
    auto planned = plan_profile(params_, caches_);
    if (!planned.ok()) return planned.error();
    report_.profile = std::move(*planned);
    if (Status analysed = analyse(); !analysed.ok()) return analysed;
    fit();
    if (Status trained = train(); !trained.ok()) return trained;
    if (const kernels::Check valid = validate(report_.profile); !valid) {
      return Error{ErrorKind::kCorrupt, "calibration: " + valid.fault().what};
    }
    return {};
  }
  CalibrateReport take() { return std::move(report_); }

 private:
  template <typename Use>
  Status for_each_section(Use use);
  Status analyse();
  void fit();
  Status train();
  double clamped_sensitivity(size_t tensor) const;
  double sensitivity_gain_bits() const;
  std::vector<double> layer_weights(const kernels::LayerGroup& group, Side side) const;
  std::vector<Eigen::MatrixXd> error_weights(const kernels::LayerGroup& group, Side side) const;
  double step_noise() const { return double{params_.step} * params_.step / 12; }
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
  std::vector<SectionSpectrum> spectra_;  // [2 * group + side], until fit()
  double steps_done_ = 0;
};

// use(group, side, width); sections without channels are passed over.
template <typename Use>
Status Calibration::for_each_section(Use use) {
  const Profile& profile = report_.profile;
  for (uint32_t group = 0; group < profile.groups.size(); ++group) {
    for (const Side side : kSides) {
      const uint32_t width = profile.section_width(group, side);
      if (width == 0) continue;
      if (Status used = use(group, side, width); !used.ok()) return used;
      step_done();
    }
  }
  return {};
}

double Calibration::clamped_sensitivity(size_t tensor) const {
  const double most = *std::max_element(params_.sensitivity.begin(), params_.sensitivity.end());
  return std::max(params_.sensitivity[tensor], kLeastSensitivity * most);
}

double Calibration::sensitivity_gain_bits() const {
  double sum = 0, log_sum = 0, channels = 0;
  for (size_t i = 0; i < params_.sensitivity.size(); ++i) {
    const double of_tensor = report_.profile.geometry.channels(kSides[i % 2]);
    channels += of_tensor;
    sum += of_tensor * clamped_sensitivity(i);
    log_sum += of_tensor * std::log2(clamped_sensitivity(i));
  }
  return channels > 0 && sum > 0 ? (std::log2(sum / channels) - log_sum / channels) / 2 : 0;
}

std::vector<double> Calibration::layer_weights(const kernels::LayerGroup& group, Side side) const {
  std::vector<double> weights(group.layers, 1.0);
  if (params_.sensitivity.empty()) return weights;
  double log_sum = 0;
  for (size_t i = 0; i < params_.sensitivity.size(); ++i) {
    log_sum += std::log(clamped_sensitivity(i));
  }
  const double middle = std::exp(log_sum / static_cast<double>(params_.sensitivity.size()));
  for (uint32_t i = 0; i < group.layers; ++i) {
    const size_t layer = group.first_layer + i;
    const double s = clamped_sensitivity(2 * layer + static_cast<size_t>(side));
    weights[i] = std::sqrt(s / middle);
  }
  return weights;
}

// [head of the section]; mean diagonal 1 over each layer.
std::vector<Eigen::MatrixXd> Calibration::error_weights(const kernels::LayerGroup& group,
                                                        Side side) const {
  using HeadMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  std::vector<Eigen::MatrixXd> weights;
  if (params_.error_weights.empty()) return weights;
  const kernels::Geometry& geometry = report_.profile.geometry;
  const auto dim = Eigen::Index(geometry.dim(side));
  for (uint32_t layer = group.first_layer; layer < group.first_layer + group.layers; ++layer) {
    const float* from = params_.error_weights[2 * size_t{layer} + static_cast<size_t>(side)].data();
    const size_t first = weights.size();
    double trace = 0;
    for (uint32_t head = 0; head < geometry.heads(side); ++head, from += dim * dim) {
      const Eigen::MatrixXd m = Eigen::Map<const HeadMatrix>(from, dim, dim).cast<double>();
      weights.push_back((m + m.transpose()) / 2);
      trace += weights.back().trace();
    }
    const double mean = trace / geometry.channels(side);
    const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(dim, dim);
    for (size_t i = first; i < weights.size(); ++i) {
      if (!(mean > 0)) {
        weights[i] = identity;
      } else {
        weights[i] = (1 - kIsotropicShare) / mean * weights[i] + kIsotropicShare * identity;
      }
    }
  }
  return weights;
}

Status Calibration::analyse() {
  const Profile& plain = report_.profile;
  spectra_.resize(plain.sections.size());
  return for_each_section([&](uint32_t group, Side side, uint32_t width) -> Status {
    Covariance covariance(width, block_width(params_, plain, side));
    Status read = caches_.for_each_piece(
        plain.groups[group], side, stop_, [&](const CachePiece& piece) -> kernels::Check {
          const auto rows =
              section_coefficients(plain, group, side, piece.tokens, piece.dtype, piece.layers);
          if (!rows) return rows.fault();
          covariance.add(*rows);
          return {};
        });
    if (!read.ok()) return read;
    spectra_[2 * group + static_cast<size_t>(side)] =
        analyse_section(covariance, layer_weights(plain.groups[group], side),
                        params_.scope != TransformScope::kChannel);
    return {};
  });
}

// In dB: what the transform gains over the channels as they are, at the finest step.
double coding_gain_db(const SectionSpectrum& spectrum, double noise) {
  double log_sum = 0;
  const auto add = [&](const Eigen::VectorXd& variance) {
    log_sum += variance.cwiseMax(noise).array().log().sum();
  };
  if (spectrum.blocks.empty()) add(spectrum.channel_variance);
  for (const SectionSpectrum::Block& block : spectrum.blocks) add(block.variance);
  const auto width = static_cast<double>(spectrum.mean.size());
  return 10 * std::log10(spectrum.channel_variance.mean()) - 10 / std::log(10.0) * log_sum / width;
}

void Calibration::fit() {
  Profile& profile = report_.profile;
  uint64_t max_basis_bytes = 0;
  if (params_.max_profile_bytes > 0) {
    // The profile as it is has everything but bases and classes.
    const uint64_t others = write_profile_object(profile).size() + kClassesBytes;
    max_basis_bytes = std::max(params_.max_profile_bytes, others + 1) - others;
  }
  const auto ranks = choose_ranks(spectra_, params_.least_variance * step_noise(), max_basis_bytes);
  for (size_t s = 0; s < spectra_.size(); ++s) {
    CalibratedSection& section = report_.sections.emplace_back();
    section.group = static_cast<uint32_t>(s / 2);
    section.side = kSides[s % 2];
    section.width = profile.section_width(section.group, section.side);
    if (section.width == 0) continue;
    section.coding_gain_db = coding_gain_db(spectra_[s], step_noise());
    SectionFit fitted = fit_section(std::move(spectra_[s]), ranks[s],
                                    error_weights(profile.groups[section.group], section.side));
    kernels::SectionCodec& codec = profile.sections[s];
    fitted.codec.step = codec.step;
    fitted.codec.rounding = codec.rounding;
    fitted.codec.drop_bits = codec.drop_bits;
    codec = std::move(fitted.codec);
    section.coefficients = codec.coefficients();
    section.weight_gain_bits = fitted.weight_gain_bits;
    section.variance = std::move(fitted.variance);
    for (const kernels::TransformBlock& block : codec.blocks) {
      report_.basis_bytes += 2 * uint64_t{block.rank} * block.width;
    }
  }
  spectra_.clear();
}

Status Calibration::train() {
  Profile& profile = report_.profile;
  kernels::ClassTraining training(profile);
  Status read = for_each_section([&](uint32_t group, Side side, uint32_t) {
    return caches_.for_each_piece(profile.groups[group], side, stop_, [&](const CachePiece& piece) {
      return training.add(group, side, piece.tokens, piece.dtype, piece.layers);
    });
  });
  if (!read.ok()) return read;
  kernels::TrainedClasses trained = training.train(params_.max_fitted_classes);
  report_.tokens = caches_.coded_tokens(params_.sink_tokens);
  report_.sensitivity_gain_bits = sensitivity_gain_bits();
  for (size_t s = 0; s < report_.sections.size(); ++s) {
    CalibratedSection& section = report_.sections[s];
    if (section.width == 0) continue;
    const double elements = static_cast<double>(report_.tokens) * section.width;
    section.bits_per_element = trained.section_bits[s] / elements;
    section.bound_bits_per_element = trained.section_bound_bits[s] / elements;
    for (const uint8_t dropped : profile.sections[s].drop_bits) {
      const size_t done = profile.passes() - dropped;
      const double middles = trained.section_midpoint_error[s][done];
      const double points = trained.section_error[s][done];
      section.reconstruction_gain_db.push_back(points > 0 ? 10 * std::log10(middles / points) : 0);
    }
  }
  profile.classes = std::move(trained.classes);
  return {};
}

Result<CalibrateParams> with_moments(const CalibrateParams& params, const CacheSet& caches) {
  CalibrateParams complete = params;
  if (params.moments.empty()) return complete;
  if (!params.error_weights.empty()) {
    return Error{ErrorKind::kUsage, "error weights and files of moments: only one can count"};
  }
  auto moments = read_moments(params.moments, caches.geometry(), caches.weights());
  if (!moments.ok()) return moments.error();
  complete.error_weights = std::move(*moments);
  return complete;
}

}  // namespace

Result<CalibrateReport> calibrate(const CalibrateParams& params, const CalibrateProgress& progress,
                                  std::stop_token stop) {
  auto caches = CacheSet::open(params.inputs);
  if (!caches.ok()) return caches.error();
  const auto complete = with_moments(params, *caches);
  if (!complete.ok()) return complete.error();
  Calibration calibration(*complete, *caches, progress, std::move(stop));
  if (Status ran = calibration.run(); !ran.ok()) return ran.error();
  return calibration.take();
}

}  // namespace kvcast::packager
