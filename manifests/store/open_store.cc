#include "manifests/open_store.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

#include "manifests/directory_store.h"
#include "manifests/store/credentials.h"
#include "manifests/store/remote_store.h"
#include "manifests/store/xml.h"

namespace kvcast::manifests {
namespace {

Error usage(const std::string& location, const char* what) {
  return {ErrorKind::kUsage, location + ": " + what};
}

std::string without_slashes_behind(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

std::string endpoint_of(const StoreOptions& options, const std::string& region) {
  if (!options.endpoint.empty()) return without_slashes_behind(options.endpoint);
  for (const char* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != 0) return without_slashes_behind(value);
  }
  return "https://s3." + region + ".amazonaws.com";
}

bool is_bucket_name(std::string_view name) {
  if (name.size() < 3 || name.size() > 63) return false;
  for (const char c : name) {
    const bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (!is_fine) return false;
  }
  return name.front() != '.';
}

void set_limits(const StoreOptions& options, RemoteStoreParams& params) {
  params.http.ca_file = options.ca_file;
  params.http.stall_limit = std::chrono::milliseconds(options.stall_limit_ms);
  params.retry.attempts = options.attempts;
  params.part_bytes = options.part_bytes;
}

Result<std::unique_ptr<Store>> open_s3(const std::string& location, const StoreOptions& options) {
  const std::string rest = without_slashes_behind(location.substr(5));
  const size_t slash = rest.find('/');
  const std::string bucket = rest.substr(0, slash);
  const std::string prefix = slash == rest.npos ? "" : rest.substr(slash + 1);
  if (!is_bucket_name(bucket)) return usage(location, "expected s3://BUCKET or s3://BUCKET/PREFIX");
  if (prefix.starts_with('/') || prefix.find("//") != prefix.npos) {
    return usage(location, "an empty part in the prefix");
  }
  auto keys = find_s3_keys(options.region);
  if (!keys.ok()) return keys.error();
  const std::string endpoint = endpoint_of(options, keys->region);
  const size_t scheme = endpoint.find("://");
  if (!endpoint.starts_with("http://") && !endpoint.starts_with("https://")) {
    return usage(endpoint, "an endpoint is expected to be http(s)://HOST[:PORT]");
  }
  RemoteStoreParams params;
  params.name = location;
  params.bucket_url = options.virtual_host ? endpoint.substr(0, scheme + 3) + bucket + "." +
                                                 endpoint.substr(scheme + 3)
                                           : endpoint + "/" + bucket;
  params.base_url = params.bucket_url;
  if (!prefix.empty()) {
    params.key_prefix = prefix + "/";
    params.base_url += fmt::format("/{}", percent_encoded(prefix, true));
  }
  if (options.virtual_host) params.bucket_url += "/";
  params.http.s3 = std::move(*keys);
  set_limits(options, params);
  return std::unique_ptr<Store>(std::make_unique<RemoteStore>(std::move(params)));
}

Result<std::unique_ptr<Store>> open_origin(const std::string& location,
                                           const StoreOptions& options) {
  if (location.find_first_of("?# \t\r\n") != std::string::npos) {
    return usage(location, "expected http(s)://HOST[:PORT][/PATH], without a query");
  }
  auto token = find_bearer_token(options.bearer_file);
  if (!token.ok()) return token.error();
  RemoteStoreParams params;
  params.name = location;
  params.base_url = without_slashes_behind(location);
  params.http.bearer_token = std::move(*token);
  set_limits(options, params);
  return std::unique_ptr<Store>(std::make_unique<RemoteStore>(std::move(params)));
}

}  // namespace

bool is_remote_store(std::string_view location) {
  return location.starts_with("s3://") || location.starts_with("http://") ||
         location.starts_with("https://");
}

Result<std::unique_ptr<Store>> open_store(const std::string& location,
                                          const StoreOptions& options) {
  if (location.starts_with("s3://")) return open_s3(location, options);
  if (is_remote_store(location)) return open_origin(location, options);
  return std::unique_ptr<Store>(std::make_unique<DirectoryStore>(location));
}

}  // namespace kvcast::manifests
