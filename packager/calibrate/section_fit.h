// Means, scales and transform of one section, from the covariance of its channels, in two steps, so
// that what is left out can be chosen over all sections between them.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/profile.h"
#include "packager/calibrate/covariance.h"

namespace kvcast::packager {

// The KLT (Karhunen-Loève; Jolliffe, Principal Component Analysis, ch. 1) of each block of the
// normalised channels: components orthonormal, by descending variance.
struct SectionSpectrum {
  struct Block {
    size_t first_channel = 0;
    Eigen::MatrixXf components;  // [component][channel]
    Eigen::VectorXd variance;
  };
  std::vector<float> mean, scale;  // [width]
  std::vector<Block> blocks;
  Eigen::VectorXd channel_variance;  // of the normalised channels
};

// `layer_weight`: a layer's channels are divided by RMS / weight, [layers of the group]. Blocks are
// those of `covariance`.
SectionSpectrum analyse_section(const Covariance& covariance,
                                const std::vector<double>& layer_weight, bool transform);

struct SectionFit {
  kernels::SectionCodec codec;   // step, rounding and ladder are the caller's
  std::vector<double> variance;  // of each coefficient, in coded order: descending
  // Bits an element that the error weights save at equal weighted error, were every component
  // coded: half the logarithm of their eigenvalues' arithmetic over geometric mean.
  double weight_gain_bits = 0;
};

// Keeps the first ranks[block] components. Without `error_weights` they are the transform.
// Otherwise a basis of the same space, no longer orthonormal, in which equal errors of any
// component cost the same, and components are uncorrelated: with F the weights there and S the
// variances, rows U^T F^(-1/2), U the eigenvectors of F^(1/2) S F^(1/2). `error_weights`: [channel
// of the section] the diagonal block of its head, [heads of the section][dim][dim], symmetric, mean
// diagonal 1 over each layer. No blocks in the spectrum: coefficients are the channels.
SectionFit fit_section(SectionSpectrum spectrum, std::span<const uint32_t> ranks,
                       std::span<const Eigen::MatrixXd> error_weights);

}  // namespace kvcast::packager
