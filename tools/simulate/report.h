// Results for people and machines.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tools/simulate/sweep.h"

namespace kvcast::simulate {

// {controller, default?, runs, miss_rate, quality, quality_on_time, regret, ttft_ms{p50,p95,p99},
// bytes, gpu_seconds}; other tools read these keys.
nlohmann::ordered_json row_json(const Row& row);

// A line a row, percentages and megabytes.
std::string rows_table(const std::vector<Row>& rows);

// Two charts: misses against quality, a line a controller, a dot an SLO; and the share of plays
// whose first token came by a time, at `ttft_slo_ms`.
std::string rows_svg(const std::string& title, double ttft_slo_ms, const Sweep& at_slo,
                     const std::vector<std::pair<double, std::vector<Row>>>& by_slo_ms);

}  // namespace kvcast::simulate
