#include "packager/calibrate/section_fit.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/dtype.h"

namespace kvcast::packager {
namespace {

constexpr double kLeastOfMean = 0x1p-12;  // beside the mean: below the last place of 16-bit types

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

// Rows by descending variance; a row's largest entry is positive, so that its sign says nothing.
kernels::TransformBlock klt_block(const Eigen::MatrixXd& covariance, size_t first_channel,
                                  std::vector<double>& variance) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  const Eigen::Index n = covariance.rows();
  kernels::TransformBlock block;
  block.first_channel = static_cast<uint32_t>(first_channel);
  block.width = block.rank = static_cast<uint32_t>(n);
  block.basis.reserve(size_t(n * n));
  for (Eigen::Index i = n; i-- > 0;) {
    const auto row = solver.eigenvectors().col(i);
    Eigen::Index largest = 0;
    row.cwiseAbs().maxCoeff(&largest);
    const double sign = row[largest] < 0 ? -1 : 1;
    for (Eigen::Index c = 0; c < n; ++c) {
      block.basis.push_back(kernels::f32_to_bf16(static_cast<float>(sign * row[c])));
    }
    variance.push_back(std::max(0.0, solver.eigenvalues()[i]));
  }
  return block;
}

}  // namespace

SectionFit fit_section(const Covariance& covariance, const std::vector<double>& layer_weight,
                       bool transform) {
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

  SectionFit fit;
  fit.channel_variance = variance.cwiseProduct(inverse.cwiseAbs2()).mean();
  std::vector<double> component_variance;
  for (size_t b = 0; b < blocks.size(); ++b) {
    const auto first = Eigen::Index(covariance.first_channel(b));
    const auto block_inverse = inverse.segment(first, blocks[b].rows());
    const Eigen::MatrixXd normalised =
        block_inverse.asDiagonal() * blocks[b] * block_inverse.asDiagonal();
    if (transform) {
      fit.codec.blocks.push_back(klt_block(normalised, size_t(first), component_variance));
    } else {
      for (const double v : normalised.diagonal()) component_variance.push_back(std::max(0.0, v));
    }
  }
  for (Eigen::Index c = 0; c < mean.size(); ++c) {
    fit.codec.mean.push_back(static_cast<float>(mean[c]));
    fit.codec.scale.push_back(static_cast<float>(scales[size_t(c)]));
  }
  fit.codec.order.resize(component_variance.size());
  std::iota(fit.codec.order.begin(), fit.codec.order.end(), 0u);
  std::stable_sort(fit.codec.order.begin(), fit.codec.order.end(), [&](uint32_t a, uint32_t b) {
    return component_variance[a] > component_variance[b];
  });
  for (const uint32_t component : fit.codec.order) {
    fit.variance.push_back(component_variance[component]);
  }
  return fit;
}

std::vector<uint32_t> truncate(kernels::SectionCodec& codec, const std::vector<bool>& keep) {
  std::vector<uint32_t> renumbered(keep.size());
  uint32_t component = 0, kept = 0;
  for (kernels::TransformBlock& block : codec.blocks) {
    std::vector<uint16_t> basis;
    const uint32_t rank = block.rank;
    block.rank = 0;
    for (uint32_t row = 0; row < rank; ++row, ++component) {
      if (!keep[component]) continue;
      renumbered[component] = kept++;
      ++block.rank;
      const auto from = block.basis.begin() + size_t{row} * block.width;
      basis.insert(basis.end(), from, from + block.width);
    }
    block.basis = std::move(basis);
  }
  std::vector<uint32_t> positions, order;
  for (uint32_t position = 0; position < codec.order.size(); ++position) {
    if (!keep[codec.order[position]]) continue;
    positions.push_back(position);
    order.push_back(renumbered[codec.order[position]]);
  }
  codec.order = std::move(order);
  return positions;
}

}  // namespace kvcast::packager
