// JSON for people: a line a member, a table where a list holds objects.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace kvcast::tools {

// Tables are cut after `most_rows`, and say so.
std::string json_as_text(const nlohmann::ordered_json& object, size_t most_rows = 40);

}  // namespace kvcast::tools
