#include "origin/http/access.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "manifests/layout.h"

namespace kvcast::origin {
namespace {

constexpr std::string_view kTokenPrefix = "s/", kTenants = "t/", kBearer = "bearer ";

std::string_view first_segment(std::string_view path) {
  return path.substr(0, path.find('/'));
}

std::string_view bearer_token(std::string_view authorization) {
  const bool is_bearer =
      authorization.size() > kBearer.size() &&
      std::equal(kBearer.begin(), kBearer.end(), authorization.begin(),
                 [](char lower, char c) { return lower == (c >= 'A' && c <= 'Z' ? c + 32 : c); });
  if (!is_bearer) return {};
  authorization.remove_prefix(kBearer.size());
  return authorization.substr(std::min(authorization.find_first_not_of(' '), authorization.size()));
}

}  // namespace

Admission admit(Target target, std::string_view authorization, const AccessRules& rules,
                int64_t now_s, char right) {
  Admission admission;
  if (rules.keys == nullptr) {
    if (target.is_folder || target.path.empty()) admission.error_status = 404;
    admission.path = std::move(target.path);
    return admission;
  }
  std::string_view path = target.path, token;
  if (path.starts_with(kTokenPrefix)) {
    path.remove_prefix(kTokenPrefix.size());
    token = first_segment(path);
    path.remove_prefix(std::min(token.size() + 1, path.size()));
  } else {
    token = bearer_token(authorization);
  }
  admission.key_id = token_key_id(token);
  admission.path = path;
  admission.error_status = 404;
  if (!path.starts_with(kTenants)) return admission;
  const std::string_view below = path.substr(kTenants.size());
  const std::string_view tenant = first_segment(below);
  if (!manifests::is_valid_name(tenant)) return admission;

  const bool is_open =
      right == 'r' && std::ranges::find(rules.open_tenants, tenant) != rules.open_tenants.end();
  if (!is_open) {
    admission.error_status = token.empty() ? 401 : 403;
    if (token.empty()) return admission;
    if (check_token(*rules.keys, token, tenant, right, now_s) != TokenVerdict::kValid) {
      return admission;
    }
    admission.by_token = true;
  }
  admission.is_tenant_root = admission.by_token && below == tenant && target.is_folder;
  admission.error_status = target.is_folder && !admission.is_tenant_root ? 404 : 0;
  return admission;
}

}  // namespace kvcast::origin
