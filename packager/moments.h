// Second moments of what meets a cache's errors, for calibration to weight them with. Read from
// files that an engine wrote: packager/moments_format.md. Stateless.
#pragma once

#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "manifests/result.h"

namespace kvcast::packager {

// [2 * layer + side]: [head][dim][dim], what CalibrateParams::error_weights takes. Of keys the
// queries' moment, of values the output projection's; identity where the files have none. Files are
// averaged. `weights`: the model's id, which they must name. Errors name the file and tensor.
manifests::Result<std::vector<std::vector<float>>> read_moments(
    const std::vector<std::string>& paths, const kernels::Geometry& geometry,
    const std::string& weights);

}  // namespace kvcast::packager
