#include "origin/gc.h"

#include <ctime>
#include <filesystem>
#include <system_error>

#include "manifests/file.h"
#include "manifests/layout.h"
#include "origin/gc/tenant_collector.h"

namespace kvcast::origin {

namespace fs = std::filesystem;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

Result<GcReport> collect_garbage(const GcParams& given) {
  GcParams params = given;
  if (params.now_s == 0) params.now_s = std::time(nullptr);
  const std::string tenants = params.root + "/t";
  std::error_code error;
  if (!fs::is_directory(tenants, error)) {
    return Error{ErrorKind::kIo, params.root + ": no store here: there is no folder t in it"};
  }
  if (!params.tenant.empty() && !manifests::is_valid_name(params.tenant)) {
    return Error{ErrorKind::kUsage, params.tenant + ": not a tenant's name"};
  }
  GcReport report;
  for (fs::directory_iterator entry(tenants, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string tenant = entry->path().filename().string();
    std::error_code ignored;
    if (!manifests::is_valid_name(tenant) || !entry->is_directory(ignored)) continue;
    if (!params.tenant.empty() && tenant != params.tenant) continue;
    TenantCollector(entry->path().string(), params, report).run();
  }
  if (error) return manifests::io_error(tenants, "list the tenants", error.value());
  if (report.tenants == 0 && !params.tenant.empty()) {
    return Error{ErrorKind::kUsage, params.root + ": no tenant " + params.tenant};
  }
  return report;
}

}  // namespace kvcast::origin
