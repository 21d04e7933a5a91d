#include "manifests/json/document.h"

#include <fmt/format.h>

#include <set>
#include <utility>
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

// nlohmann-json opens its messages with "[json.exception.parse_error.101] ".
std::string reason(const json::exception& error) {
  const std::string_view what = error.what();
  const size_t bracket = what.find("] ");
  return "not JSON: " + printable(bracket == what.npos ? what : what.substr(bracket + 2), 200);
}

// The parser keeps the last of equal keys; a reader that kept the first would see another document.
// A pass of its own: the library's parser with a callback looks at all elements of an array again
// after each object in it, which takes minutes for what a manifest may hold.
class RepeatedKeys : public nlohmann::json_sax<json> {
 public:
  // What is wrong with the text, or nothing. That it is no JSON counts more.
  const std::string& fault() const { return not_json_.empty() ? repeated_ : not_json_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool start_object(size_t) override {
    open_.emplace_back();
    return true;
  }
  bool end_object() override {
    open_.pop_back();
    return true;
  }
  bool key(string_t& key) override {
    if (!repeated_.empty()) return true;
    const auto [known, is_new] = open_.back().insert(std::move(key));
    if (!is_new) repeated_ = fmt::format("key \"{}\" twice in one object", printable(*known, 60));
    return true;
  }
  bool parse_error(size_t, const std::string&, const json::exception& error) override {
    not_json_ = reason(error);
    return false;
  }

 private:
  std::vector<std::set<std::string>> open_;
  std::string repeated_, not_json_;
};

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
    json::sax_parse(text, &keys);
    if (keys.fault().empty()) return json::parse(text);
    fault = keys.fault();
  }
  return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, fault)};
}

}  // namespace kvcast::manifests
