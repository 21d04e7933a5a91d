// How one immutable file is served. Each check makes its requests and says what it found.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "manifests/manifest.h"
#include "tools/doctor/examination.h"

namespace kvcast::doctor {

// What the other checks compare with.
struct Whole {
  std::string url;
  ProbeAnswer answer;                            // to a plain GET: 200
  std::optional<manifests::ObjectRef> expected;  // what the manifest says
};

using Findings = std::vector<Finding>;

void check_bytes(const Whole& whole, Findings& findings);
void check_ranges(const Prober& prober, const Whole& whole, Findings& findings);
void check_validators(const Prober& prober, const Whole& whole, Findings& findings);
void check_caching(const Whole& whole, Findings& findings);
void check_head(const Prober& prober, const Whole& whole, Findings& findings);
void check_missing(const Prober& prober, const Whole& whole, Findings& findings);
void check_cors(const Whole& whole, Findings& findings);
void check_connection(const Prober& prober, const Whole& whole, Examination& examination);

// Of "max-age=N" in a Cache-Control, in seconds; nothing when absent.
std::optional<uint64_t> max_age_s(const std::string& cache_control);

}  // namespace kvcast::doctor
