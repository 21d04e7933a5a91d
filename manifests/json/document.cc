#include "manifests/json/document.h"

#include <fmt/format.h>

#include <set>
#include <vector>

namespace kvcast::manifests {
namespace {

using nlohmann::json;

// What is too large, or nothing. Brackets and commas outside strings bound the number of values.
std::string size_fault(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    return fmt::format("{} bytes of JSON, more than the limit of {}", text.size(), limits.bytes);
  }
  size_t values = 1;
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == ',' || c == '[' || c == '{') {
      if (c != ',' && ++depth > limits.depth) {
        return fmt::format("JSON nested deeper than {} at byte {}", limits.depth, i);
      }
      if (++values > limits.values) {
        return fmt::format("more than {} JSON values, at byte {}", limits.values, i);
      }
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return {};
}

// The parser keeps the last of equal keys; a reader that kept the first would see another document.
class RepeatedKeys {
 public:
  bool operator()(json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open_.emplace_back();
    if (event == json::parse_event_t::object_end) open_.pop_back();
    if (event == json::parse_event_t::key && fault_.empty()) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open_.back().insert(key).second) {
        fault_ = fmt::format("key \"{}\" twice in one object", printable(key, 60));
      }
    }
    return true;
  }
  const std::string& fault() const { return fault_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::string fault_;
};

// nlohmann-json opens its messages with "[json.exception.parse_error.101] ".
std::string reason(const json::exception& error) {
  const std::string_view what = error.what();
  const size_t bracket = what.find("] ");
  return printable(bracket == what.npos ? what : what.substr(bracket + 2), 200);
}

}  // namespace

std::string printable(std::string_view text, size_t limit) {
  std::string result(text.substr(0, limit));
  for (char& c : result) c = c < 0x20 || c > 0x7e ? '?' : c;
  return text.size() > limit ? result + "..." : result;
}

Result<json> parse_json(std::string_view text, const JsonLimits& limits, std::string_view name) {
  std::string fault = size_fault(text, limits);
  if (fault.empty()) {
    RepeatedKeys keys;
    try {
      json document = json::parse(text, [&keys](int, json::parse_event_t event, json& parsed) {
        return keys(event, parsed);
      });
      if (keys.fault().empty()) return document;
      fault = keys.fault();
    } catch (const json::exception& error) {
      fault = "not JSON: " + reason(error);
    }
  }
  return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, fault)};
}

}  // namespace kvcast::manifests
