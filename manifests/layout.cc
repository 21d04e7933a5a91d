#include "manifests/layout.h"

#include <algorithm>
#include <stdexcept>

namespace kvcast::manifests {
namespace {

bool is_name_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string checked(std::string_view name) {
  if (!is_valid_name(name)) throw std::invalid_argument("not a valid name in a store's path");
  return std::string(name);
}

}  // namespace

bool is_valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameChars && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), is_name_char);
}

std::string model_component(std::string_view weights) {
  if (is_valid_name(weights)) return std::string(weights);
  return sha256(std::as_bytes(std::span(weights))).hex().substr(0, 32);
}

std::string tenant_root(std::string_view tenant) {
  return "t/" + checked(tenant) + "/";
}

std::string manifest_path(std::string_view tenant, std::string_view presentation) {
  return tenant_root(tenant) + "m/" + checked(presentation) + ".json";
}

std::string object_path(std::string_view tenant, const Digest& digest) {
  return tenant_root(tenant) + object_path_in_tenant(digest);
}

std::string object_path_in_tenant(const Digest& digest) {
  const std::string hex = digest.hex();
  return "o/" + hex.substr(0, 2) + "/" + hex + ".kvo";
}

std::string prefix_path(std::string_view tenant, std::string_view weights,
                        const Digest& prefix_hash) {
  return tenant_root(tenant) + "k/" + model_component(weights) + "/" + prefix_hash.hex();
}

std::string lookup_path(std::string_view tenant, std::string_view weights) {
  return tenant_root(tenant) + "k/" + model_component(weights) + ":longest";
}

}  // namespace kvcast::manifests
