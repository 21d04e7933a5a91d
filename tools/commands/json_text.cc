#include "tools/commands/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kvcast::tools {
namespace {

using nlohmann::ordered_json;

std::string cell(const ordered_json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const ordered_json& element : value) text += (text.empty() ? "" : ", ") + cell(element);
  return text.empty() ? "none" : text;
}

bool is_table(const ordered_json& value) {
  return value.is_array() && !value.empty() && value.front().is_object();
}

std::string table(const ordered_json& rows, size_t most_rows) {
  std::vector<std::vector<std::string>> cells(1);
  for (const auto& [key, value] : rows.front().items()) cells[0].push_back(key);
  for (size_t i = 0; i < std::min(rows.size(), most_rows); ++i) {
    std::vector<std::string> row;
    for (const std::string& key : cells[0]) {
      row.push_back(rows[i].contains(key) ? cell(rows[i].at(key)) : "-");
    }
    cells.push_back(std::move(row));
  }
  std::vector<size_t> widths(cells[0].size());
  for (const auto& row : cells) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : cells) {
    for (size_t c = 0; c < row.size(); ++c) text += fmt::format("  {:>{}}", row[c], widths[c]);
    text += '\n';
  }
  if (rows.size() > most_rows) {
    text += fmt::format("  ... {} more; --json shows all\n", rows.size() - most_rows);
  }
  return text;
}

}  // namespace

std::string json_as_text(const ordered_json& object, size_t most_rows) {
  size_t width = 0;
  for (const auto& [key, value] : object.items()) {
    if (!is_table(value)) width = std::max(width, key.size());
  }
  std::string text;
  for (const auto& [key, value] : object.items()) {
    if (is_table(value)) {
      text += key + "\n" + table(value, most_rows);
    } else {
      text += fmt::format("{:<{}}  {}\n", key, width, cell(value));
    }
  }
  return text;
}

}  // namespace kvcast::tools
