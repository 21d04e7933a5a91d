// What a calibration's parameters make of a geometry, before anything is read: a profile whose
// coefficients are the channels as they are.
#pragma once

#include "kernels/profile.h"
#include "manifests/result.h"
#include "packager/calibrate.h"
#include "packager/calibrate/cache_set.h"

namespace kvcast::packager {

manifests::Status check_params(const CalibrateParams& params, const CacheSet& caches);

// `params` must have passed. Fails where a transform would be too wide.
manifests::Result<kernels::Profile> plan_profile(const CalibrateParams& params,
                                                 const CacheSet& caches);

// Channels of one transform block of a section; 1: no transform.
size_t block_width(const CalibrateParams& params, const kernels::Profile& profile,
                   kernels::Side side);

}  // namespace kvcast::packager
