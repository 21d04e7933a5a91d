// JSON from outside, parsed within bounds: size, depth and number of values are checked before
// anything is allocated for them, keys must not repeat, and no exception leaves. Internal.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "manifests/result.h"

namespace kvcast::manifests {

struct JsonLimits {
  size_t bytes = 0;
  size_t values = 0;  // scalars, arrays and objects together; one takes at most about 150 bytes
  size_t depth = 8;
};

// Errors open with `name` and give line and column where the parser knows them.
Result<nlohmann::json> parse_json(std::string_view text, const JsonLimits& limits,
                                  std::string_view name);

// At most `limit` bytes of `text`, all of them printable ASCII: fit for an error message.
std::string printable(std::string_view text, size_t limit);

}  // namespace kvcast::manifests
