// A file of moments by itself, as its own tensors and metadata state it:
// packager/moments_format.md.
#pragma once

#include <string>

#include "manifests/result.h"
#include "manifests/safetensors.h"

namespace kvcast::packager {

// Whether a safetensors file is meant to be one: by its tensors' names.
bool names_moments(const manifests::SafetensorsHeader& header);

// Can calibration use it for caches of the shape and weights that it states? Errors name the file
// and the tensor or metadata key.
manifests::Status check_moments(const manifests::SafetensorsFile& file);

}  // namespace kvcast::packager
