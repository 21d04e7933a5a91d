// Typed reading of parsed JSON. A node knows its path; the first thing found wrong is noted once
// for the whole document, and from then on every accessor answers a default, so that readers need
// not check each step. Nodes point into the document and the fault: both must outlive them.
// Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/digest.h"

namespace kvcast::manifests {

class JsonNode {
 public:
  // `fault` gets "PATH: found ..., expected ...".
  JsonNode(const nlohmann::json& root, std::string& fault) : value_(&root), fault_(&fault) {}

  JsonNode member(std::string_view key) const;
  // Nothing where the key is absent or null.
  std::optional<JsonNode> optional_member(std::string_view key) const;
  std::vector<JsonNode> elements(size_t least, size_t most) const;

  uint64_t integer(uint64_t least, uint64_t most) const;
  std::vector<uint32_t> integers(size_t least, size_t most) const;
  double number(double least, double most) const;
  bool flag() const;
  std::string string(size_t least_bytes, size_t most_bytes) const;
  Digest digest() const;

  bool is_array() const { return value_->is_array(); }
  // Names of the members that are objects; none where this is no object.
  std::vector<std::string> object_members() const;
  const std::string& path() const { return path_; }
  bool is_good() const { return fault_->empty(); }
  // For rules that types do not say: "found ..., expected ...", or in the caller's words.
  void expect(bool holds, std::string_view expected) const;
  void fail(std::string_view what) const;

 private:
  JsonNode(const nlohmann::json& value, std::string path, std::string* fault)
      : value_(&value), path_(std::move(path)), fault_(fault) {}
  bool is_object() const;
  const nlohmann::json* value_;
  std::string path_;  // empty for the root
  std::string* fault_;
};

}  // namespace kvcast::manifests
