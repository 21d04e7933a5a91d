#include "packager/calibrate/section_fit.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/dtype.h"

namespace kvcast::packager {
namespace {

constexpr double kLeastOfMean = 0x1p-12;  // beside the mean: below the last place of 16-bit types
constexpr double kLeastWeight = 0x1p-20;  // beside the largest: keeps the basis well conditioned

using Solver = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;

// One scale a layer; a layer that never varies keeps one beside its mean.
std::vector<double> channel_scales(const Eigen::VectorXd& variance, const Eigen::VectorXd& mean,
                                   const std::vector<double>& layer_weight) {
  const auto channels = variance.size() / Eigen::Index(layer_weight.size());
  std::vector<double> scales;
  for (size_t layer = 0; layer < layer_weight.size(); ++layer) {
    const Eigen::Index first = Eigen::Index(layer) * channels;
    const double rms = std::sqrt(std::max(0.0, variance.segment(first, channels).mean()));
    const double least = kLeastOfMean * mean.segment(first, channels).cwiseAbs().maxCoeff();
    const double scale = std::max(rms, least);
    scales.insert(scales.end(), size_t(channels), scale > 0 ? scale / layer_weight[layer] : 1.0);
  }
  return scales;
}

SectionSpectrum::Block klt(const Eigen::MatrixXd& covariance, size_t first_channel) {
  const Solver solver(covariance);
  return {first_channel, solver.eigenvectors().rowwise().reverse().transpose().cast<float>(),
          solver.eigenvalues().reverse().cwiseMax(0.0)};
}

// The block's part of the block-diagonal matrix of the heads.
Eigen::MatrixXd weights_of(std::span<const Eigen::MatrixXd> heads, size_t first_channel,
                           Eigen::Index width) {
  Eigen::MatrixXd weights = Eigen::MatrixXd::Zero(width, width);
  const Eigen::Index dim = heads.front().rows();
  for (Eigen::Index c = 0; c < width; c += dim) {
    weights.block(c, c, dim, dim) = heads[(first_channel + size_t(c)) / size_t(dim)];
  }
  return weights;
}

struct WeightedBasis {
  Eigen::MatrixXd rows;  // [component][channel]
  Eigen::VectorXd variance;
  double weight_log_sum = 0;
};

WeightedBasis weighted_basis(const Eigen::MatrixXd& components, const Eigen::VectorXd& variance,
                             const Eigen::MatrixXd& weights) {
  const Solver within(components * weights * components.transpose());
  const Eigen::VectorXd eigenvalues =
      within.eigenvalues().cwiseMax(kLeastWeight * within.eigenvalues().maxCoeff());
  const Eigen::VectorXd roots = eigenvalues.cwiseSqrt();
  const Eigen::MatrixXd& axes = within.eigenvectors();
  const Eigen::MatrixXd root = axes * roots.asDiagonal() * axes.transpose();
  const Eigen::MatrixXd inverse = axes * roots.cwiseInverse().asDiagonal() * axes.transpose();
  const Solver solver(root * variance.asDiagonal() * root);
  return {solver.eigenvectors().rowwise().reverse().transpose() * inverse * components,
          solver.eigenvalues().reverse().cwiseMax(0.0), eigenvalues.array().log().sum()};
}

// A row's largest entry is positive, so that its sign says nothing.
void append_row(const Eigen::VectorXd& row, std::vector<uint16_t>& basis) {
  Eigen::Index largest = 0;
  row.cwiseAbs().maxCoeff(&largest);
  const double sign = row[largest] < 0 ? -1 : 1;
  for (const double x : row) basis.push_back(kernels::f32_to_bf16(static_cast<float>(sign * x)));
}

// Coded by descending variance.
void order_by_variance(const std::vector<double>& component_variance, SectionFit& fit) {
  fit.codec.order.resize(component_variance.size());
  std::iota(fit.codec.order.begin(), fit.codec.order.end(), 0u);
  std::stable_sort(fit.codec.order.begin(), fit.codec.order.end(), [&](uint32_t a, uint32_t b) {
    return component_variance[a] > component_variance[b];
  });
  for (const uint32_t component : fit.codec.order) {
    fit.variance.push_back(component_variance[component]);
  }
}

}  // namespace

SectionSpectrum analyse_section(const Covariance& covariance,
                                const std::vector<double>& layer_weight, bool transform) {
  const Eigen::VectorXd mean = covariance.mean();
  std::vector<Eigen::MatrixXd> blocks;
  Eigen::VectorXd variance(mean.size());
  for (size_t b = 0; b < covariance.blocks(); ++b) {
    blocks.push_back(covariance.of_block(b));
    variance.segment(Eigen::Index(covariance.first_channel(b)), blocks[b].rows()) =
        blocks[b].diagonal();
  }
  const std::vector<double> scales = channel_scales(variance, mean, layer_weight);
  const Eigen::VectorXd inverse =
      Eigen::Map<const Eigen::VectorXd>(scales.data(), mean.size()).cwiseInverse();

  SectionSpectrum spectrum;
  spectrum.channel_variance = variance.cwiseProduct(inverse.cwiseAbs2()).cwiseMax(0.0);
  for (size_t b = 0; transform && b < blocks.size(); ++b) {
    const auto part =
        inverse.segment(Eigen::Index(covariance.first_channel(b)), blocks[b].rows()).asDiagonal();
    spectrum.blocks.push_back(klt(part * blocks[b] * part, covariance.first_channel(b)));
  }
  for (Eigen::Index c = 0; c < mean.size(); ++c) {
    spectrum.mean.push_back(static_cast<float>(mean[c]));
    spectrum.scale.push_back(static_cast<float>(scales[size_t(c)]));
  }
  return spectrum;
}

SectionFit fit_section(SectionSpectrum spectrum, std::span<const uint32_t> ranks,
                       std::span<const Eigen::MatrixXd> error_weights) {
  SectionFit fit;
  fit.codec.mean = std::move(spectrum.mean);
  fit.codec.scale = std::move(spectrum.scale);
  std::vector<double> component_variance;
  double weight_log_sum = 0;
  for (size_t b = 0; b < spectrum.blocks.size(); ++b) {
    const SectionSpectrum::Block& from = spectrum.blocks[b];
    const Eigen::Index rank = ranks[b], width = from.components.cols();
    WeightedBasis basis{from.components.topRows(rank).cast<double>(), from.variance.head(rank)};
    if (!error_weights.empty()) {
      basis = weighted_basis(basis.rows, basis.variance,
                             weights_of(error_weights, from.first_channel, width));
      weight_log_sum += basis.weight_log_sum;
    }
    kernels::TransformBlock block{static_cast<uint32_t>(from.first_channel),
                                  static_cast<uint32_t>(width),
                                  static_cast<uint32_t>(rank),
                                  {}};
    block.basis.reserve(size_t(rank * width));
    for (Eigen::Index r = 0; r < rank; ++r) append_row(basis.rows.row(r).transpose(), block.basis);
    fit.codec.blocks.push_back(std::move(block));
    component_variance.insert(component_variance.end(), basis.variance.begin(),
                              basis.variance.end());
  }
  if (spectrum.blocks.empty()) {
    component_variance.assign(spectrum.channel_variance.begin(), spectrum.channel_variance.end());
  }
  if (!error_weights.empty()) {
    fit.weight_gain_bits =
        -weight_log_sum / (2 * std::log(2.0) * static_cast<double>(component_variance.size()));
  }
  order_by_variance(component_variance, fit);
  return fit;
}

}  // namespace kvcast::packager
