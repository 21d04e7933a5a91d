// Files lately asked for, kept open with what responses say of them: an open, a stat and a close
// less for each request.
//
// Never fooled by a replaced file: a file is used again only if a stat of its path answers the same
// device, inode, size and times as the open file had. An inode held open here cannot be given to
// another file. Objects, which are named by their digest and never change, are asked about once in
// `object_trust_ms`, which is how long a deleted one may still be served.
//
// Files not asked for in `idle_ms` are closed by sweep(), so that deleted ones give their disk
// space back. Used by one thread.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "origin/files/cache_entry.h"
#include "origin/files/root.h"
#include "origin/http/file_facts.h"

namespace kvcast::origin {

struct CachedFile {
  Descriptor descriptor;
  FileInfo info;
  FileFacts facts;
  std::string content;  // of a small one, once it was asked for whole or in part
  bool gzip_was_tried = false;
  std::string gzip;  // empty: not to be had
  FileFacts gzip_facts;
  std::shared_ptr<CacheEntry> cache_entry;  // of a read-through cache, once it was asked for
};

// Files up to this size are kept in memory once they were asked for.
inline constexpr uint64_t kMaxKeptBytes = 16384;

struct FileCacheParams {
  size_t max_files = 512;  // 0: none is kept
  int object_trust_ms = 1000;
  int idle_ms = 10'000;
};

class FileCache {
 public:
  using Clock = std::chrono::steady_clock;
  struct Found {
    int error_status = 0;  // as OpenedFile's
    std::shared_ptr<CachedFile> file;
  };

  // `root` outlives the cache.
  FileCache(const Root& root, const FileCacheParams& params) : root_(root), params_(params) {}

  // The file stays open as long as the answer is held, whatever the cache does.
  Found open(const std::string& path, Clock::time_point now);
  // Fills in the content, once. False if the file is larger than kMaxKeptBytes, or has become
  // shorter than it was.
  static bool provide_content(CachedFile& file);
  // Fills in the gzip form, once. False if the file has none.
  static bool provide_gzip(CachedFile& file);
  void sweep(Clock::time_point now);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<CachedFile> file;
    Clock::time_point used, checked;
  };
  using Entries = std::list<Entry>;

  bool is_current(Entry& entry, Clock::time_point now) const;
  Found open_new(const std::string& path, Clock::time_point now);
  void drop(Entries::iterator entry);

  const Root& root_;
  const FileCacheParams params_;
  Entries entries_;  // the one used last is in front
  std::unordered_map<std::string_view, Entries::iterator> by_path_;  // keys: the entries' paths
};

}  // namespace kvcast::origin
