// Whether bytes are UTF-8 (RFC 3629: shortest forms, no surrogates, at most U+10FFFF). Internal.
#pragma once

#include <string_view>

namespace kvcast::manifests {

bool is_utf8(std::string_view text);

}  // namespace kvcast::manifests
