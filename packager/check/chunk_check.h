// The objects of one chunk against its manifest entry, and every section of them decoded.
#pragma once

#include <cstdint>

#include "kernels/plane.h"
#include "manifests/manifest.h"
#include "packager/check/findings.h"
#include "packager/verify.h"

namespace kvcast::packager {

// Holds the chunk's planes, then its exact object, in memory.
void check_chunk(const manifests::Manifest& manifest, uint32_t chunk, const kernels::Codec& codec,
                 ObjectReader& objects, VerifyReport& report);

// `planes`: 0..n of one chunk, their headers and section lists checked. Counts the sections
// decoded.
void decode_planes(const kernels::Codec& codec, kernels::TokenRange tokens, kernels::DType dtype,
                   std::span<const LoadedObject> planes, VerifyReport& report);

// An exact object whose section list was checked.
void decode_exact_object(const kernels::Geometry& geometry, const LoadedObject& object,
                         VerifyReport& report);

}  // namespace kvcast::packager
