// Content coding gzip (RFC 9110 §8.4.1.3). Pure.
#pragma once

#include <string>
#include <string_view>

namespace kvcast::origin {

// The same bytes for the same text, as a strong entity tag demands.
std::string gzip(std::string_view text);

// Whether an Accept-Encoding field lets gzip be sent: named, or meant by "*", with a weight above
// 0. A field that is absent or makes no sense lets nothing but the file itself be sent.
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace kvcast::origin
