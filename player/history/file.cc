#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <span>

#include "manifests/file.h"
#include "player/play_history.h"

namespace kvcast::player {

std::string play_history_path() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return std::string(cache) + "/kvcast/history.json";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.cache/kvcast/history.json";
  return {};
}

PlayHistory read_play_history(const std::string& path, int64_t now_s, std::string& note) {
  struct stat about {};
  if (path.empty() || stat(path.c_str(), &about) != 0) return {};
  const auto bytes = manifests::read_file(path, PlayHistory::kMaxFileBytes);
  if (!bytes) {
    note = fmt::format("{}; playing without what earlier plays learned", bytes.error().message);
    return {};
  }
  auto history =
      PlayHistory::parse({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, now_s);
  if (history) return std::move(*history);
  note = fmt::format("{}: {}; playing without what earlier plays learned, and replacing it", path,
                     history.error().message);
  return {};
}

manifests::Status write_play_history(const std::string& path, const PlayHistory& history) {
  const std::string text = history.to_json();
  return manifests::write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace kvcast::player
