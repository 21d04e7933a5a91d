// What is in a manifest, an object, a KV file or a store, as JSON. Nothing is decoded.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "manifests/result.h"

namespace kvcast::tools {

manifests::Result<nlohmann::ordered_json> inspect_manifest(std::string_view json,
                                                           const std::string& name);
manifests::Result<nlohmann::ordered_json> inspect_object(std::span<const std::byte> bytes,
                                                         const std::string& name);
manifests::Result<nlohmann::ordered_json> inspect_kv_file(const std::string& path);
manifests::Result<nlohmann::ordered_json> inspect_store(const std::string& root);

}  // namespace kvcast::tools
