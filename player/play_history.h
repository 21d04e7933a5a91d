// What earlier plays learned, as a play's prior: about links, by host, and about this machine's
// decoding and recomputing, by what does it. A small JSON file
//   {"version": 1, "hosts": {"http://host:80": {...}}, "decodes": {...}, "recomputes": {...}}
// Records older than a month are dropped, and beyond the limits of each kind the oldest. Entries
// that make no sense are skipped, and numbers clamped. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "manifests/result.h"
#include "player/recompute.h"
#include "player/throughput.h"

namespace kvcast::player {

class PlayHistory {
 public:
  static constexpr size_t kMaxHosts = 256;
  static constexpr size_t kMaxKinds = 64;       // of decoding, and of recomputing
  static constexpr size_t kMaxNameBytes = 256;  // of a host or a kind; longer ones are not kept
  static constexpr uint64_t kMaxFileBytes = 256u << 10;

  // kCorrupt when it is not such a file.
  static manifests::Result<PlayHistory> parse(std::string_view json, int64_t now_s);
  std::string to_json() const;

  // `host` is scheme://host:port. Spreads widen with a record's age: links and machines change.
  std::optional<LinkRecord> find(const std::string& host, int64_t now_s) const;
  // Seconds of one decode thread (a device: of the device) for a million elements of a plane.
  std::optional<Spread> find_decode(const std::string& kind, int64_t now_s) const;
  std::optional<RecomputeCost> find_recompute(const std::string& kind) const;

  // Averages with what was known; what `seen` does not know stays. Seconds since 1970.
  void learn(const std::string& host, const LinkRecord& seen, int64_t now_s);
  void learn_decode(const std::string& kind, const Spread& seen, int64_t now_s);
  void learn_recompute(const std::string& kind, const RecomputeCost& seen, int64_t now_s);
  size_t size() const { return hosts_.size() + decodes_.size() + recomputes_.size(); }

 private:
  template <typename T>
  struct Entry {
    T record;
    int64_t updated_s = 0;
  };
  template <typename T>
  using Entries = std::map<std::string, Entry<T>>;
  Entries<LinkRecord> hosts_;
  Entries<Spread> decodes_;
  Entries<RecomputeCost> recomputes_;
};

// kvcast/history.json below XDG_CACHE_HOME, or below HOME/.cache. Empty when neither is set.
std::string play_history_path();

// An empty history when there is no file. A file that cannot be used is ignored too, and `note`
// says so.
PlayHistory read_play_history(const std::string& path, int64_t now_s, std::string& note);
manifests::Status write_play_history(const std::string& path, const PlayHistory& history);

}  // namespace kvcast::player
