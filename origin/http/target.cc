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

bool is_plain(char c) {
  return c != '%' && c != '\0' && c != '\\';
}

// False if `text` is not percent-encoded properly or holds a byte no file of ours has in its name.
bool decode(std::string_view text, std::string& to) {
  to.reserve(text.size());
  while (true) {
    const auto plain_end = std::find_if_not(text.begin(), text.end(), is_plain);
    to.append(text.begin(), plain_end);
    text.remove_prefix(static_cast<size_t>(plain_end - text.begin()));
    if (text.empty()) return true;
    if (text.front() != '%' || text.size() < 3) return false;
    const int high = hex_digit(text[1]), low = hex_digit(text[2]);
    if (high < 0 || low < 0) return false;
    const char c = static_cast<char>(high * 16 + low);
    if (c == '\0' || c == '\\') return false;
    to += c;
    text.remove_prefix(3);
  }
}

// Whether the target is its path as it stands, as nearly all are: nothing to decode, no empty or
// hidden segment, no query. Without branches, so that it takes many bytes at a time.
bool is_tidy(std::string_view target) {
  if (target.size() < 2 || target.front() != '/' || target.back() == '/') return false;
  unsigned odd = 0;
  for (const char c : target) {
    odd |= static_cast<unsigned>(c == '%') | static_cast<unsigned>(c == '\\') |
           static_cast<unsigned>(c == '\0') | static_cast<unsigned>(c == '?') |
           static_cast<unsigned>(c == '#');
  }
  for (size_t i = 0; i + 1 < target.size(); ++i) {
    const char next = target[i + 1];
    odd |= static_cast<unsigned>(target[i] == '/') &
           (static_cast<unsigned>(next == '/') | static_cast<unsigned>(next == '.'));
  }
  return odd == 0;
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
  if (is_tidy(target)) {
    result.path = target.substr(1);
    return result;
  }
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
