// How much each tenant may keep, and keeps. What lies below a tenant's root is counted once, by a
// walk, and then kept up; other writers of the same store are noticed by counting again: after
// kRecountAfter, and before anyone is refused. Thread-safe; calls may walk, so they may take long.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "manifests/result.h"

namespace kvcast::origin {

struct TenantQuota {
  uint64_t bytes = UINT64_MAX;
  uint64_t files = UINT64_MAX;  // objects, manifests and prefix entries together
};

// "TENANT=BYTES" or "TENANT=BYTES,FILES"; BYTES with K, M, G or T for powers of 1024; TENANT "*":
// whoever has none of its own.
struct NamedQuota {
  std::string tenant;
  TenantQuota quota;
};
manifests::Result<NamedQuota> parse_quota(const std::string& text);

class Quotas {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kRecountAfter{60};
  static constexpr std::chrono::seconds kRecountPause{2};  // before a refusal, at most so often

  // `root`: the store's. `is_active`: whether someone is writing this file, whose bytes are
  // reserved already.
  Quotas(std::string root, const std::vector<NamedQuota>& quotas,
         std::function<bool(const std::string& path)> is_active);

  // Room for a file of `bytes` where one of `replaced` bytes lies now, if one does. Nothing, or why
  // there is none. What was reserved is given back by release(), then add() says what it became.
  std::optional<std::string> reserve(const std::string& tenant, uint64_t bytes,
                                     std::optional<uint64_t> replaced);
  void release(const std::string& tenant, uint64_t bytes, std::optional<uint64_t> replaced);
  void add(const std::string& tenant, int64_t bytes, int64_t files);

 private:
  struct Usage {
    int64_t bytes = 0, files = 0;                    // lying there
    int64_t reserved_bytes = 0, reserved_files = 0;  // on their way
    std::optional<Clock::time_point> counted;
  };
  const TenantQuota* quota_of(const std::string& tenant) const;  // null: none
  void recount(const std::string& tenant, std::chrono::seconds max_age);

  const std::string root_;
  const std::function<bool(const std::string&)> is_active_;
  std::map<std::string, TenantQuota> quotas_;
  std::mutex mutex_;
  std::map<std::string, Usage> usage_;
};

}  // namespace kvcast::origin
