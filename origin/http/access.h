// Who may read what: with token keys, nothing but tenants' roots, each to those who hold its token
// (origin/token_format.md). Decided from the request alone, before any file is looked at, so that
// answers tell nothing of what exists. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "origin/http/target.h"
#include "origin/token.h"

namespace kvcast::origin {

struct AccessRules {
  const TokenKeys* keys = nullptr;  // null: everything is open, and no path carries a token
  std::span<const std::string> open_tenants = {};  // need no token
};

struct Admission {
  int error_status = 0;         // 0, 401 (no token), 403 (not a good one), 404
  std::string path;             // below the root, without the token
  bool by_token = false;        // so shared caches must not keep the answer
  bool is_tenant_root = false;  // by a good token: who asks wants to know whether it is good
  std::string key_id;           // of the token that was shown, good or not, for logs
};

// `authorization` is the request's field. `target` has been parsed without error. `right`: 'r', or
// 'w', which open tenants too give to holders of a token only.
Admission admit(Target target, std::string_view authorization, const AccessRules& rules,
                int64_t now_s, char right = 'r');

}  // namespace kvcast::origin
