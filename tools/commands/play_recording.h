// The link of a play as a trace file (origin/trace.h): what `play --record` writes.
#pragma once

#include <string>
#include <vector>

#include "manifests/result.h"
#include "player/report.h"

namespace kvcast::tools {

// Whole or not at all. A play that fetched nothing that tells the rate is an error.
manifests::Status write_recording(const std::string& path, const player::PlayReport& report,
                                  const std::vector<player::LinkRate>& link);

}  // namespace kvcast::tools
