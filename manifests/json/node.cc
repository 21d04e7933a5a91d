#include "manifests/json/node.h"

#include <fmt/format.h>

#include <algorithm>

#include "manifests/json/document.h"

namespace kvcast::manifests {
namespace {

using nlohmann::json;

const json& absent() {
  static const json kNull;
  return kNull;
}

bool is_short(const json& value) {
  return value.size() <= 4 && std::none_of(value.begin(), value.end(), [](const json& element) {
           return element.is_structured();
         });
}

std::string describe(const json& value) {
  if (value.is_structured() && !is_short(value)) return fmt::format("an {}", value.type_name());
  const auto replace = json::error_handler_t::replace;
  return printable(value.dump(-1, ' ', true, replace), 60);
}

std::string count_fault(size_t count, size_t least, size_t most) {
  if (least == most) return fmt::format("{} elements, expected {}", count, least);
  return fmt::format("{} elements, expected {} to {}", count, least, most);
}

}  // namespace

void JsonNode::expect(bool holds, std::string_view expected) const {
  if (holds || !is_good()) return;
  fail(fmt::format("found {}, expected {}", describe(*value_), expected));
}

void JsonNode::fail(std::string_view what) const {
  if (!is_good()) return;
  *fault_ = fmt::format("{}: {}", path_.empty() ? "document" : printable(path_, 200), what);
}

bool JsonNode::is_object() const {
  expect(value_->is_object(), "an object");
  return is_good();
}

JsonNode JsonNode::member(std::string_view key) const {
  const std::string path = fmt::format("{}{}{}", path_, path_.empty() ? "" : ".", key);
  if (!is_object()) return {absent(), path, fault_};
  const auto found = value_->find(key);
  if (found != value_->end()) return {*found, path, fault_};
  const JsonNode missing(absent(), path, fault_);
  missing.fail("missing");
  return missing;
}

std::optional<JsonNode> JsonNode::optional_member(std::string_view key) const {
  if (!is_object()) return std::nullopt;
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return member(key);
}

std::vector<JsonNode> JsonNode::elements(size_t least, size_t most) const {
  std::vector<JsonNode> nodes;
  expect(value_->is_array(), "an array");
  if (!is_good()) return nodes;
  if (value_->size() < least || value_->size() > most) {
    fail(count_fault(value_->size(), least, most));
    return nodes;
  }
  nodes.reserve(value_->size());
  for (const json& element : *value_) {
    nodes.push_back({element, fmt::format("{}[{}]", path_, nodes.size()), fault_});
  }
  return nodes;
}

uint64_t JsonNode::integer(uint64_t least, uint64_t most) const {
  const bool is_natural = value_->is_number_unsigned();
  const uint64_t value = is_natural ? value_->get<uint64_t>() : 0;
  if (is_natural && value >= least && value <= most) return value;
  expect(false, fmt::format("an integer from {} to {}", least, most));
  return least;
}

std::vector<uint32_t> JsonNode::integers(size_t least, size_t most) const {
  std::vector<uint32_t> numbers;
  expect(value_->is_array(), "an array");
  if (!is_good()) return numbers;
  if (value_->size() < least || value_->size() > most) {
    fail(count_fault(value_->size(), least, most));
    return numbers;
  }
  numbers.reserve(value_->size());
  for (const json& element : *value_) {
    const bool is_natural = element.is_number_unsigned();
    if (!is_natural || element.get<uint64_t>() > UINT32_MAX) {
      const JsonNode node(element, fmt::format("{}[{}]", path_, numbers.size()), fault_);
      node.expect(false, "an integer below 2^32");
      return {};
    }
    numbers.push_back(element.get<uint32_t>());
  }
  return numbers;
}

double JsonNode::number(double least, double most) const {
  const double value = value_->is_number() ? value_->get<double>() : 0;
  if (value_->is_number() && value >= least && value <= most) return value;
  expect(false, fmt::format("a number from {} to {}", least, most));
  return least;
}

bool JsonNode::flag() const {
  expect(value_->is_boolean(), "true or false");
  return is_good() && value_->get<bool>();
}

std::vector<std::string> JsonNode::object_members() const {
  std::vector<std::string> names;
  if (!value_->is_object()) return names;
  for (const auto& item : value_->items()) {
    if (item.value().is_object()) names.push_back(item.key());
  }
  return names;
}

std::string JsonNode::string(size_t least_bytes, size_t most_bytes) const {
  expect(value_->is_string(), "a string");
  if (!is_good()) return {};
  const auto& text = value_->get_ref<const std::string&>();
  if (text.size() >= least_bytes && text.size() <= most_bytes) return text;
  expect(false, fmt::format("a string of {} to {} bytes", least_bytes, most_bytes));
  return {};
}

Digest JsonNode::digest() const {
  const auto digest =
      value_->is_string() ? Digest::from_hex(value_->get_ref<const std::string&>()) : std::nullopt;
  expect(digest.has_value(), "64 lower-case hex digits");
  return digest.value_or(Digest{});
}

}  // namespace kvcast::manifests
