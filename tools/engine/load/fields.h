// Reads typed fields of a JSON object and remembers the first thing wrong, so that a parser reads
// straight down and asks once at the end.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "manifests/result.h"

namespace kvcast::engine {

class Fields {
 public:
  // `object` must outlive this. `name`: the file, and the object within it.
  Fields(const nlohmann::json& object, std::string name);

  bool has(const char* key) const;  // present and not null
  // A number in [1, limit], required, or `absent` when missing.
  uint32_t count(const char* key, uint32_t limit, std::optional<uint32_t> absent = std::nullopt);
  // A finite number > 0, required, or `absent` when missing.
  double positive(const char* key, std::optional<double> absent = std::nullopt);
  bool flag(const char* key, bool absent);
  std::string text(const char* key, std::string absent);
  // The object or array under `key`; null when missing.
  const nlohmann::json& value(const char* key) const;

  void fail(std::string what);  // keeps the first
  const std::string& name() const { return name_; }
  manifests::Status status() const;

 private:
  const nlohmann::json* object_;
  std::string name_;
  std::optional<std::string> fault_;
};

// The JSON object in `text`; an error opens with `name`.
manifests::Result<nlohmann::json> parse_json_object(std::string_view text, std::string_view name);

}  // namespace kvcast::engine
