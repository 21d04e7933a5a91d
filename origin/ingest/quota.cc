#include "origin/ingest/quota.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "manifests/layout.h"

namespace kvcast::origin {
namespace {

namespace fs = std::filesystem;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr std::string_view kOthers = "*";

struct Count {
  int64_t bytes = 0, files = 0;
};

Count count_below(const std::string& folder, const std::function<bool(const std::string&)>& skip) {
  Count count;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code gone;  // others may be removing what is counted
    if (!entry->is_regular_file(gone) || gone || skip(entry->path().string())) continue;
    const auto bytes = entry->file_size(gone);
    if (gone) continue;
    count.bytes += static_cast<int64_t>(bytes);
    ++count.files;
  }
  return count;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return {};
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit.empty()) return value;
  const size_t power = std::string_view("KMGT").find(unit.front());
  const unsigned shift = static_cast<unsigned>(power + 1) * 10;
  if (unit.size() != 1 || power == std::string_view::npos || value > (UINT64_MAX >> shift)) {
    return {};
  }
  return value << shift;
}

bool exceeds(int64_t wanted, uint64_t limit) {
  return wanted > 0 && static_cast<uint64_t>(wanted) > limit;
}

}  // namespace

Result<NamedQuota> parse_quota(const std::string& text) {
  const size_t equals = text.find('='), comma = text.find(',', equals);
  NamedQuota named{text.substr(0, equals), {}};
  const bool has_name = named.tenant == kOthers || manifests::is_valid_name(named.tenant);
  if (equals != std::string::npos && has_name) {
    const std::string_view limits = std::string_view(text).substr(equals + 1);
    const auto bytes = parse_size(limits.substr(0, limits.find(',')));
    const auto files = comma == std::string::npos
                           ? std::optional(UINT64_MAX)
                           : parse_size(std::string_view(text).substr(comma + 1));
    if (bytes && files) {
      named.quota = {*bytes, *files};
      return named;
    }
  }
  return Error{ErrorKind::kUsage, text + ": want TENANT=BYTES or TENANT=BYTES,FILES as a quota, " +
                                      "such as acme=200G,1000000; * is every other tenant"};
}

Quotas::Quotas(std::string root, const std::vector<NamedQuota>& quotas,
               std::function<bool(const std::string& path)> is_active)
    : root_(std::move(root)), is_active_(std::move(is_active)) {
  for (const NamedQuota& named : quotas) quotas_[named.tenant] = named.quota;
}

const TenantQuota* Quotas::quota_of(const std::string& tenant) const {
  auto found = quotas_.find(tenant);
  if (found == quotas_.end()) found = quotas_.find(std::string(kOthers));
  return found == quotas_.end() ? nullptr : &found->second;
}

void Quotas::recount(const std::string& tenant, std::chrono::seconds max_age) {
  Usage& usage = usage_[tenant];
  const Clock::time_point now = Clock::now();
  if (usage.counted && now - *usage.counted < max_age) return;
  const Count count = count_below(root_ + "/" + manifests::tenant_root(tenant), is_active_);
  usage.bytes = count.bytes;
  usage.files = count.files;
  usage.counted = Clock::now();
}

std::optional<std::string> Quotas::reserve(const std::string& tenant, uint64_t bytes,
                                           std::optional<uint64_t> replaced) {
  const TenantQuota* const quota = quota_of(tenant);
  if (quota == nullptr) return {};
  const int64_t more = static_cast<int64_t>(bytes) - static_cast<int64_t>(replaced.value_or(0));
  const int64_t one_more = replaced ? 0 : 1;
  const std::lock_guard lock(mutex_);
  Usage& usage = usage_[tenant];
  for (const auto max_age : {kRecountAfter, kRecountPause}) {
    recount(tenant, max_age);
    const int64_t all_bytes = usage.bytes + usage.reserved_bytes + more;
    const int64_t all_files = usage.files + usage.reserved_files + one_more;
    const bool bytes_fit = more <= 0 || !exceeds(all_bytes, quota->bytes);
    if (bytes_fit && (one_more == 0 || !exceeds(all_files, quota->files))) {
      usage.reserved_bytes += more;
      usage.reserved_files += one_more;
      return {};
    }
  }
  return "the quota of tenant " + tenant + " is " + std::to_string(quota->bytes) + " bytes" +
         (quota->files == UINT64_MAX ? "" : " in " + std::to_string(quota->files) + " files") +
         "; in use: " + std::to_string(usage.bytes + usage.reserved_bytes) + " bytes in " +
         std::to_string(usage.files + usage.reserved_files) +
         " files. Wanted: " + std::to_string(bytes) +
         " more; remove presentations, or ask the operator for more";
}

void Quotas::release(const std::string& tenant, uint64_t bytes, std::optional<uint64_t> replaced) {
  if (quota_of(tenant) == nullptr) return;
  const std::lock_guard lock(mutex_);
  Usage& usage = usage_[tenant];
  usage.reserved_bytes -= static_cast<int64_t>(bytes) - static_cast<int64_t>(replaced.value_or(0));
  usage.reserved_files -= replaced ? 0 : 1;
}

void Quotas::add(const std::string& tenant, int64_t bytes, int64_t files) {
  if (quota_of(tenant) == nullptr) return;
  const std::lock_guard lock(mutex_);
  Usage& usage = usage_[tenant];
  usage.bytes += bytes;
  usage.files += files;
}

}  // namespace kvcast::origin
