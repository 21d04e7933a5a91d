// Which sections the objects of a chunk have, in order, and their headers:
// manifests/object_format.md as code, for the writer and the verifier. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/geometry.h"
#include "kernels/profile.h"
#include "kernels/section.h"
#include "manifests/digest.h"
#include "manifests/object.h"

namespace kvcast::packager {

std::vector<kernels::SectionId> plane_sections(const kernels::Profile& profile,
                                               kernels::TokenRange tokens, uint32_t plane);
std::vector<kernels::SectionId> exact_sections(const kernels::Geometry& geometry);

manifests::ObjectHeader plane_header(const kernels::Geometry& geometry, kernels::DType dtype,
                                     kernels::TokenRange tokens, uint32_t plane,
                                     const manifests::Digest& profile);
manifests::ObjectHeader exact_header(const kernels::Geometry& geometry, kernels::DType dtype,
                                     kernels::TokenRange tokens);

// Keys, values, or both: those with a width.
std::vector<kernels::Side> sides_of(const kernels::Geometry& geometry);

}  // namespace kvcast::packager
