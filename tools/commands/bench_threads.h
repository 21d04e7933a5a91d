// How coding scales over cores: the same work on one thread and on two at once, by the clock.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

namespace kvcast::tools {

std::vector<nlohmann::json> thread_rows(int runs);

}  // namespace kvcast::tools
