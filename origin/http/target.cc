#include "origin/http/target.h"

#include <algorithm>

namespace kvcast::origin {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// False if `text` is not percent-encoded properly or holds a byte no file of ours has in its name.
bool decode(std::string_view text, std::string& to) {
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return false;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0' || c == '\\') return false;
    to += c;
  }
  return true;
}

bool starts_with_scheme(std::string_view target, std::string_view scheme) {
  return target.size() >= scheme.size() &&
         std::equal(scheme.begin(), scheme.end(), target.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

// "http://host/a" → "/a"; anything else as it is.
std::string_view without_authority(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_with_scheme(target, scheme)) continue;
    const size_t end = target.find_first_of("/?#", scheme.size());
    if (end == std::string_view::npos) return "/";
    return target[end] == '/' ? target.substr(end) : "/";
  }
  return target;
}

}  // namespace

Target parse_target(std::string_view target) {
  Target result;
  target = without_authority(target);
  target = target.substr(0, target.find_first_of("?#"));
  std::string decoded;
  if (target.empty() || target.front() != '/' || !decode(target, decoded)) {
    result.error_status = 400;
    return result;
  }
  result.is_folder = decoded.back() == '/';
  for (size_t begin = 1; begin < decoded.size();) {
    const size_t end = std::min(decoded.find('/', begin), decoded.size());
    const std::string_view segment = std::string_view(decoded).substr(begin, end - begin);
    begin = end + 1;
    if (segment.empty()) continue;
    if (segment.front() == '.') {
      result.error_status = 404;
      return result;
    }
    if (!result.path.empty()) result.path += '/';
    result.path += segment;
  }
  return result;
}

}  // namespace kvcast::origin
