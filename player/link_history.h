// What earlier plays learned about links, by host: a play's prior. A small JSON file
// ({"version": 1, "hosts": {"http://host:80": {...}}}); records older than a month are dropped, and
// beyond kMaxHosts the oldest. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "manifests/result.h"
#include "player/throughput.h"

namespace kvcast::player {

class LinkHistory {
 public:
  static constexpr size_t kMaxHosts = 256;
  static constexpr uint64_t kMaxFileBytes = 256u << 10;

  // kCorrupt when it is not such a file.
  static manifests::Result<LinkHistory> parse(std::string_view json, int64_t now_s);
  std::string to_json() const;

  // `host` is scheme://host:port. Spreads widen with a record's age: links change.
  std::optional<LinkRecord> find(const std::string& host, int64_t now_s) const;

  // Averages with what was known; what `seen` does not know stays. Seconds since 1970.
  void learn(const std::string& host, const LinkRecord& seen, int64_t now_s);
  size_t size() const { return hosts_.size(); }

 private:
  struct Entry {
    LinkRecord record;
    int64_t updated_s = 0;
  };
  std::map<std::string, Entry> hosts_;
};

// kvcast/links.json below XDG_CACHE_HOME, or below HOME/.cache. Empty when neither is set.
std::string link_history_path();

// An empty history when there is no file. A file that cannot be used is ignored too, and `note`
// says so.
LinkHistory read_link_history(const std::string& path, int64_t now_s, std::string& note);
manifests::Status write_link_history(const std::string& path, const LinkHistory& history);

}  // namespace kvcast::player
