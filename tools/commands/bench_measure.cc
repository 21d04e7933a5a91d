#include "tools/commands/bench_measure.h"

#include <time.h>

#include <algorithm>
#include <iterator>

namespace kvcast::tools {
namespace {

constexpr double kMostSeconds = 0.6;  // of one case
constexpr int kCallsInARow = 3;

double seconds_now(bool wall_clock) {
  timespec now{};
  clock_gettime(wall_clock ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Times {
  std::vector<double> seconds;
  double total = 0;
};

nlohmann::json row(const BenchCase& measured, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  return {{"operation", measured.operation},
          {"implementation", measured.implementation},
          {"symbols_per_s", measured.symbols / median},
          {"bytes_out_per_s", measured.bytes_out / median},
          {"bits_per_symbol", measured.bits_per_symbol},
          {"best_symbols_per_s", measured.symbols / seconds.front()}};
}

bool is_wanted(const BenchCase& each, const std::vector<std::string>& only) {
  const std::string name = each.operation + ", " + each.implementation;
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& part) {
           return name.find(part) != std::string::npos;
         });
}

}  // namespace

std::vector<nlohmann::json> measure(const std::vector<BenchCase>& all, const BenchRounds& rounds) {
  std::vector<BenchCase> cases;
  std::copy_if(all.begin(), all.end(), std::back_inserter(cases),
               [&](const BenchCase& each) { return is_wanted(each, rounds.only); });
  for (const BenchCase& each : cases) each.work();
  std::vector<Times> times(cases.size());
  for (int run = 0; run < rounds.runs; ++run) {
    for (size_t i = 0; i < cases.size(); ++i) {
      if (times[i].total > kMostSeconds) continue;
      for (int call = 0; call < kCallsInARow; ++call) {
        const double start = seconds_now(cases[i].wall_clock);
        cases[i].work();
        times[i].seconds.push_back(seconds_now(cases[i].wall_clock) - start);
        times[i].total += times[i].seconds.back();
      }
    }
  }
  std::vector<nlohmann::json> rows;
  for (size_t i = 0; i < cases.size(); ++i) rows.push_back(row(cases[i], times[i].seconds));
  return rows;
}

}  // namespace kvcast::tools
