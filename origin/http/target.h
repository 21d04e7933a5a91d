// From a request target to a path below the root. Pure.
#pragma once

#include <string>
#include <string_view>

namespace kvcast::origin {

struct Target {
  int error_status =
      0;  // 0, 400 (not a target, or bad percent-encoding, NUL, backslash), 404 (hidden)
  std::string
      path;  // decoded, segments joined by single slashes, none at either end; "" is the root
  bool is_folder = false;  // ended in a slash, so no file can be meant
};

// Takes origin-form ("/a%20b?query") and absolute-form ("http://host/a"); query and fragment are
// dropped. Decoding happens once and before splitting, so an encoded slash separates too. Empty
// segments are dropped; a segment that starts with a dot (so "." and ".." as well) is hidden.
Target parse_target(std::string_view target);

}  // namespace kvcast::origin
