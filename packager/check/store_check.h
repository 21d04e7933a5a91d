// One tenant's folder: all its manifests, then what ties them together.
#pragma once

#include <string>

#include "packager/verify.h"

namespace kvcast::packager {

// Manifests and their objects, prefix entries against manifests, objects that no manifest names.
// A presentation packed with another salt shows as a defect of its prefix hashes.
manifests::Status check_tenant(const std::string& tenant_root, const VerifyParams& params,
                               VerifyReport& report);

}  // namespace kvcast::packager
