// How coding scales over cores: the same work on one thread and on two at once, by the clock.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "tools/commands/bench_measure.h"

namespace kvcast::tools {

std::vector<nlohmann::json> thread_rows(const BenchRounds& rounds);

}  // namespace kvcast::tools
