#include "tools/engine/load/fields.h"

#include <fmt/format.h>

#include <cmath>

namespace kvcast::engine {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;
using nlohmann::json;

Fields::Fields(const json& object, std::string name) : object_(&object), name_(std::move(name)) {}

const json& Fields::value(const char* key) const {
  static const json kNull;
  if (!object_->is_object()) return kNull;
  const auto found = object_->find(key);
  return found == object_->end() ? kNull : *found;
}

bool Fields::has(const char* key) const {
  return !value(key).is_null();
}

uint32_t Fields::count(const char* key, uint32_t limit, std::optional<uint32_t> absent) {
  const json& field = value(key);
  if (field.is_null() && absent) return *absent;
  if (!field.is_number_unsigned() || field.get<uint64_t>() < 1 || field.get<uint64_t>() > limit) {
    fail(fmt::format("\"{}\" is {}, expected a whole number from 1 to {}", key,
                     field.is_null() ? "missing" : field.dump(), limit));
    return 1;
  }
  return static_cast<uint32_t>(field.get<uint64_t>());
}

double Fields::positive(const char* key, std::optional<double> absent) {
  const json& field = value(key);
  if (field.is_null() && absent) return *absent;
  if (!field.is_number() || !std::isfinite(field.get<double>()) || field.get<double>() <= 0) {
    fail(fmt::format("\"{}\" is {}, expected a number above 0", key,
                     field.is_null() ? "missing" : field.dump()));
    return 1;
  }
  return field.get<double>();
}

bool Fields::flag(const char* key, bool absent) {
  const json& field = value(key);
  if (field.is_null()) return absent;
  if (!field.is_boolean()) {
    fail(fmt::format("\"{}\" is {}, expected true or false", key, field.dump()));
    return absent;
  }
  return field.get<bool>();
}

std::string Fields::text(const char* key, std::string absent) {
  const json& field = value(key);
  if (field.is_null()) return absent;
  if (!field.is_string()) {
    fail(fmt::format("\"{}\" is {}, expected a string", key, field.dump()));
    return absent;
  }
  return field.get<std::string>();
}

void Fields::fail(std::string what) {
  if (!fault_) fault_ = std::move(what);
}

Status Fields::status() const {
  if (!fault_) return {};
  return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name_, *fault_)};
}

Result<json> parse_json_object(std::string_view text, std::string_view name) {
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: not a JSON object", name)};
  }
  return parsed;
}

}  // namespace kvcast::engine
