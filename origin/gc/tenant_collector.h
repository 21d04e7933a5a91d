// Garbage collection of one tenant: the steps that origin/gc.h describes. Not thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "manifests/digest.h"
#include "origin/gc.h"
#include "origin/gc/entries.h"
#include "origin/gc/tenant_manifests.h"

namespace kvcast::origin {

class TenantCollector {
 public:
  // `folder`: the tenant's. `params.now_s` is set. Both and the report outlive the collector.
  TenantCollector(std::string folder, const GcParams& params, GcReport& report);
  void run();

 private:
  bool is_dead(const std::string& id) const;
  manifests::Status collect_presentations();
  void find_replacements(std::vector<StrayEntry>& strays);
  manifests::Status settle(const StrayEntry& stray);
  manifests::Status remove_expired();
  manifests::Status collect_objects();
  manifests::Status remove_objects(std::span<const std::string> paths);
  void collect_uploads();
  bool is_named(const manifests::Digest& object);
  bool is_old(const std::string& path) const;
  bool remove(const std::string& path, uint64_t& count);

  const std::string folder_;
  const GcParams& params_;
  GcReport& report_;
  TenantManifests manifests_;
  std::vector<manifests::Digest> named_;  // by manifests that stay, ascending
  uint64_t named_version_ = 0;            // of manifests_, when that was gathered
};

}  // namespace kvcast::origin
