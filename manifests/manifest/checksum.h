// What finds damage that leaves a manifest readable. manifests/manifest_format.md, "Checksum".
#pragma once

#include <string>

#include "manifests/manifest.h"

namespace kvcast::manifests {

// 16 lower-case hex digits: the xxh3-64 of what write_manifest writes, less the member itself.
std::string manifest_checksum(const Manifest& manifest);

}  // namespace kvcast::manifests
