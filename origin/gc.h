// Removes what a store no longer needs: presentations that have expired, prefix entries of
// presentations that are gone, objects that no manifest names, uploads that nobody goes on with.
//
// Never what a manifest names: manifests are read again, under the tenant's lock
// (manifests/folder_lock.h), before anything is removed. Never what a publish under way will name:
// what publishers put, or find there and make use of, is young from then on (to within an hour),
// and only what is older than the grace period goes. So a publish may take as long as the grace
// period less an hour. A manifest that cannot be read keeps all objects of its tenant.
//
// Entries go before their manifest, and that before its objects, each step on the disk before the
// next, so that a crash leaves nothing that names what is gone. An entry shared with a presentation
// that stays is made to name that one (manifests/prefix_format.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "manifests/result.h"

namespace kvcast::origin {

struct GcParams {
  std::string root;
  std::string tenant;       // empty: all
  int64_t grace_s = 86400;  // objects and uploads younger than this stay
  bool dry_run = false;     // counts only
  int64_t now_s = 0;        // seconds since 1970; 0: the clock
};

struct GcReport {
  uint64_t tenants = 0, manifests = 0, objects = 0;  // looked at
  uint64_t expired_manifests = 0, removed_entries = 0, renamed_entries = 0, removed_objects = 0,
           removed_uploads = 0;
  uint64_t removed_bytes = 0;
  std::vector<std::string> problems;  // what was left alone, and why
};

// Several may run at once, beside servers and packagers. Error: no store there.
manifests::Result<GcReport> collect_garbage(const GcParams& params);

}  // namespace kvcast::origin
