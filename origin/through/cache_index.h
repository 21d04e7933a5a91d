// What a cache's folder holds: sizes, uses, and the store's tags. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "origin/files/cache_entry.h"

namespace kvcast::origin {

class CacheIndex {
 public:
  // A file that was put, or put anew: `now_s` is when it was used and checked.
  void put(const std::string& path, uint64_t bytes, std::string tag, int64_t now_s);
  // One that was there before this process; nothing is known of its freshness.
  void adopt(const std::string& path, uint64_t bytes, int64_t used_s);
  std::shared_ptr<CacheEntry> find(const std::string& path) const;  // null: not known
  std::string tag(const std::string& path) const;                   // empty: not known
  void remove(const std::string& path);
  // The files used longest ago, as many as must go for the rest to be within `bytes`; forgets them.
  // Of those used in the same second, the one put last goes last.
  std::vector<std::string> take_beyond(uint64_t bytes);
  uint64_t bytes() const;
  size_t files() const;

 private:
  struct Entry {
    std::shared_ptr<CacheEntry> shared;
    uint64_t bytes = 0;
    std::string tag;
    uint64_t order = 0;  // of puts: decides where uses are told apart by the second only
  };
  Entry& entry(const std::string& path, uint64_t bytes);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  uint64_t bytes_ = 0, puts_ = 0;
};

}  // namespace kvcast::origin
