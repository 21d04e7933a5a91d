// What is in a profile, as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "kernels/profile.h"

namespace kvcast::tools {

nlohmann::ordered_json inspect_profile(const kernels::Profile& profile);

}  // namespace kvcast::tools
