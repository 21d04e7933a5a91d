// Means, scales and transform of one section, from the covariance of its channels.
#pragma once

#include <vector>

#include "kernels/profile.h"
#include "packager/calibrate/covariance.h"

namespace kvcast::packager {

struct SectionFit {
  kernels::SectionCodec codec;   // step, rounding and ladder are the caller's
  std::vector<double> variance;  // of each coefficient, in coded order: descending
  double channel_variance = 0;   // mean of the normalised channels'
};

// `layer_weight`: a layer's channels are divided by RMS / weight, [layers of the group].
// `transform` false: coefficients are the channels. Blocks are those of `covariance`, each an
// orthonormal KLT of full rank (Karhunen-Loève; Jolliffe, Principal Component Analysis, ch. 1),
// components by descending variance.
SectionFit fit_section(const Covariance& covariance, const std::vector<double>& layer_weight,
                       bool transform);

// Leaves out the components that `keep` (by component of the fit's codec) does not name; answers
// the coded positions that stay.
std::vector<uint32_t> truncate(kernels::SectionCodec& codec, const std::vector<bool>& keep);

}  // namespace kvcast::packager
