#include "manifests/store/xml.h"

#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <utility>

namespace kvcast::manifests {
namespace {

constexpr std::pair<std::string_view, char> kEntities[] = {
    {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
constexpr size_t kMostEntityChars = 12;  // beyond them none ends

std::string resolved(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const size_t end = text.front() == '&' ? text.substr(0, kMostEntityChars).find(';') : text.npos;
    if (end == text.npos) {
      plain += text.front();
      text.remove_prefix(1);
      continue;
    }
    std::string_view name = text.substr(1, end - 1);
    for (const auto& [entity, c] : kEntities) {
      if (name == entity) plain += c;
    }
    if (name.starts_with('#')) {
      const int base = name.starts_with("#x") ? 16 : 10;
      name.remove_prefix(base == 16 ? 2 : 1);
      unsigned code = 0;
      std::from_chars(name.data(), name.data() + name.size(), code, base);
      if (code > 0 && code < 128) plain += static_cast<char>(code);
    }
    text.remove_prefix(end + 1);
  }
  return plain;
}

}  // namespace

std::vector<std::string> xml_elements(std::string_view xml, std::string_view name) {
  const std::string open = fmt::format("<{}>", name), close = fmt::format("</{}>", name);
  std::vector<std::string> found;
  for (size_t at = xml.find(open); at != xml.npos; at = xml.find(open, at)) {
    at += open.size();
    const size_t end = xml.find(close, at);
    if (end == xml.npos) break;
    found.emplace_back(xml.substr(at, end - at));
    at = end + close.size();
  }
  return found;
}

std::string xml_text(std::string_view xml, std::string_view name) {
  const std::vector<std::string> found = xml_elements(xml, name);
  return found.empty() ? "" : resolved(found.front());
}

uint64_t xml_number(std::string_view xml, std::string_view name) {
  const std::string text = xml_text(xml, name);
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

int64_t xml_time(std::string_view xml, std::string_view name) {
  std::tm time{};
  if (::strptime(xml_text(xml, name).c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) return 0;
  return ::timegm(&time);
}

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    bool done = false;
    for (const auto& [entity, plain] : kEntities) {
      if (c != plain) continue;
      escaped += fmt::format("&{};", entity);
      done = true;
    }
    if (!done) escaped += c;
  }
  return escaped;
}

std::string percent_encoded(std::string_view text, bool keep_slashes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool is_kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
                         (keep_slashes && c == '/');
    if (is_kept) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return encoded;
}

}  // namespace kvcast::manifests
