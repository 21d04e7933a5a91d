#include "tools/commands/token_ids.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "manifests/file.h"

namespace kvcast::tools {
namespace {

constexpr uint64_t kMaxFileBytes = 1u << 30;
constexpr std::string_view kBetween = " \t\r\n,";

}  // namespace

manifests::Result<std::vector<uint32_t>> read_token_ids(const std::string& path) {
  const auto bytes = manifests::read_file(path, kMaxFileBytes);
  if (!bytes) return bytes.error();
  std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  const auto trim = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(kBetween), text.size()));
  };
  trim();
  while (!text.empty() && kBetween.find(text.back()) != kBetween.npos) text.remove_suffix(1);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  std::vector<uint32_t> ids;
  for (trim(); !text.empty(); trim()) {
    uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (error != std::errc() || (!text.empty() && kBetween.find(text.front()) == kBetween.npos)) {
      return manifests::Error{
          manifests::ErrorKind::kCorrupt,
          fmt::format("{}: entry {} is no token id: expected a JSON list of ids, or ids separated "
                      "by white space",
                      path, ids.size())};
    }
    ids.push_back(id);
  }
  return ids;
}

}  // namespace kvcast::tools
