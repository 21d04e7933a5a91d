// URLs by RFC 3986, through libcurl's parser: the one that will fetch them. Pure.
#pragma once

#include <string>

#include "manifests/result.h"

namespace kvcast::player {

// `relative` (which may be absolute) against `base`. Error unless the outcome is http or https.
manifests::Result<std::string> resolve_url(const std::string& base, const std::string& relative);

// A folder's URL with `path` below it; the folder may lack its final slash. `path` is appended to
// the path as it is, so a query of the folder's URL (a token) stays behind it.
manifests::Result<std::string> url_below(const std::string& folder, const std::string& path);

// "scheme://host:port" of an http(s) URL, the port always given; empty for anything else.
std::string host_of(const std::string& url);

}  // namespace kvcast::player
