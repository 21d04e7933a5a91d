// A read-through cache: files of a remote store, kept in the directory that is served, so that a
// hit takes the way any file takes.
//
// A file that is missing is fetched whole, once for all who ask for it meanwhile, checked against
// its digest if it is an object, synced, and renamed to its place. Objects never change. Manifests
// and prefix entries are fresh for a while, then served and asked about behind the client's back,
// then asked about first; when the store cannot tell, what is there is served. Names that the store
// does not have are remembered for a moment. Beyond the size limit, what was not used for longest
// goes. Only what manifests/layout.h names is fetched.
//
// Any thread may call anything but stop() and use().
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "manifests/digest.h"
#include "manifests/result.h"
#include "manifests/store.h"
#include "origin/files/cache_entry.h"
#include "origin/through/cache_index.h"

namespace kvcast::origin {

struct ReadThroughParams {
  std::string folder;                              // is served
  uint64_t max_bytes = uint64_t{10} << 30;         // of files; what is being fetched comes on top
  int64_t fresh_s = 5, stale_s = 60;               // of manifests and prefix entries
  int64_t absent_s = 1;                            // a name without a file
  unsigned threads = 16;                           // fetches at one time
  std::function<int64_t()> now_s;                  // monotonic; empty: the real one
  std::function<void(const std::string&)> notice;  // one line on what went wrong; empty: nobody
};

struct ReadThroughCounts {
  std::atomic<uint64_t> hits{0}, stale_hits{0}, misses{0}, absent{0}, revalidations{0},
      fetched_bytes{0}, failed_fetches{0}, damaged_objects{0}, evicted_files{0};
};

class ReadThrough {
 public:
  enum class Outcome { kStored, kAbsent, kFailed };
  using Done = std::function<void(Outcome)>;

  // Takes over what lies in the folder, which is made as needed. An error if another process uses
  // it, or if it holds another store's files.
  static manifests::Result<std::unique_ptr<ReadThrough>> open(
      std::shared_ptr<manifests::Store> store, ReadThroughParams params);
  ~ReadThrough();  // stop()

  int64_t now_s() const { return params_.now_s(); }
  // Of a file that was found in the folder; never null.
  std::shared_ptr<CacheEntry> entry_of(const std::string& path);
  enum class Freshness { kFresh, kStale, kExpired };
  Freshness freshness(const CacheEntry& entry) const;

  // Gets the file, or asks whether it is still the same. `done` is called once, by another thread,
  // or by this one before it returns; empty: nobody waits. After stop() it may never be called.
  void fetch(const std::string& path, Done done);
  // For fetches to come: the same store with other keys.
  void use(std::shared_ptr<manifests::Store> store);
  // Ends fetches.
  void stop();

  ReadThroughCounts& counts() { return counts_; }
  std::string metrics_text() const;  // Prometheus

 private:
  struct Fetch {
    std::vector<Done> waiting;
  };
  ReadThrough(std::shared_ptr<manifests::Store> store, ReadThroughParams params, int lock);

  manifests::Status take_over();
  void join(const std::string& path, Done done);  // under the mutex
  void work();
  Outcome run(const std::string& path) noexcept;
  void fail(const std::string& path, std::string_view where, std::string_view cause) noexcept;
  void remember(const std::string& path, Outcome outcome) noexcept;  // under the mutex
  static void wake(const Done& done, Outcome outcome) noexcept;
  manifests::Result<Outcome> run_once(const std::string& path);
  manifests::Status place(const std::string& path, manifests::StagedFile file, uint64_t bytes,
                          std::string tag);
  manifests::Status check_digest(const std::string& path, const manifests::Digest& found);
  bool is_same_as_cached(const std::string& path, const manifests::StagedFile& file,
                         uint64_t bytes) const;
  void evict();
  void tell(const std::string& line);
  std::string full(const std::string& path) const { return params_.folder + "/" + path; }

  std::shared_ptr<manifests::Store> store() const;

  const ReadThroughParams params_;
  const int lock_;  // held as long as the folder is used
  ReadThroughCounts counts_;
  CacheIndex index_;

  mutable std::mutex mutex_;
  std::condition_variable wakes_;
  std::shared_ptr<manifests::Store> store_;
  bool stopping_ = false;
  std::unordered_map<std::string, Fetch> fetches_;  // queued or under way
  std::deque<std::string> queue_;
  std::unordered_map<std::string, int64_t> absent_until_s_;
  int64_t told_s_ = -1;
  std::vector<std::thread> threads_;
};

}  // namespace kvcast::origin
