// Whether a server, or the CDN before it, does what players need, and what would make it better.
// A pure function of the answers to some twenty requests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"
#include "player/http_probe.h"

namespace kvcast::doctor {

using player::ProbeAnswer;
using player::Prober;

enum class Verdict {
  kGood,
  kPoor,    // plays work, slower or at a higher cost
  kBroken,  // plays fail, or get wrong bytes
};

std::string_view verdict_name(Verdict verdict);

struct Finding {
  std::string check;  // "range", "etag", ...: stable names
  Verdict verdict = Verdict::kGood;
  std::string finding;  // what was seen
  std::string way_out;  // empty when good
};

struct Examination {
  std::string object_url;  // whose serving was looked at
  std::vector<Finding> findings;
  double ttfb_ms = 0, rate_bytes_per_s = 0;
};

// `url`: of a manifest, whose largest object is looked at too; or of any file. Error: it cannot be
// fetched, or the manifest is none.
manifests::Result<Examination> examine(const Prober& prober, const std::string& url);

}  // namespace kvcast::doctor
