// A manifest's text, profile and prefix hashes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/profile.h"
#include "manifests/manifest.h"
#include "packager/verify.h"

namespace kvcast::packager {

// Read and compared with the manifest's geometry and levels; none when it cannot decode its chunks.
std::optional<kernels::Profile> check_profile(const manifests::Manifest& manifest,
                                              const std::string& name, ObjectReader& objects,
                                              VerifyReport& report);

// The token ids, from the manifest or its text object; empty when it has none or they are bad.
std::vector<uint32_t> check_text(const manifests::Manifest& manifest, ObjectReader& objects,
                                 VerifyReport& report);

// Every chunk's prefix hash against the tokens. Answers the hashes.
std::vector<manifests::Digest> check_prefix_hashes(const manifests::Manifest& manifest,
                                                   const std::string& name,
                                                   const std::vector<uint32_t>& tokens,
                                                   const VerifyParams& params,
                                                   VerifyReport& report);

}  // namespace kvcast::packager
