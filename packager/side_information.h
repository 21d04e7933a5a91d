// How much of a presentation's planes is side information: everything that is not entropy-coded
// payload.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/profile.h"
#include "manifests/manifest.h"
#include "manifests/result.h"

namespace kvcast::packager {

struct SideInformation {
  uint64_t stored_bytes = 0;   // of all plane objects, headers and exact sinks included
  uint64_t payload_bytes = 0;  // of them, the words of rANS streams
  double share() const {
    return stored_bytes == 0
               ? 0
               : 1 - static_cast<double>(payload_bytes) / static_cast<double>(stored_bytes);
  }
};

// Reads every plane object of the presentation below `tenant_root` (DIR/t/TENANT), one chunk in
// memory at a time. Errors name the object. Stateless.
manifests::Result<SideInformation> side_information(const std::string& tenant_root,
                                                    const manifests::Manifest& manifest,
                                                    const kernels::Profile& profile);

}  // namespace kvcast::packager
