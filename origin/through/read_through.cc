#include "origin/through/read_through.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <exception>
#include <filesystem>
#include <optional>
#include <utility>

#include "manifests/digest.h"
#include "manifests/directory_store.h"
#include "manifests/file.h"
#include "origin/http/file_kind.h"
#include "origin/process/thread.h"

namespace kvcast::origin {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::StagedFile;
using manifests::Status;

constexpr const char* kLockName = "/.kvcast-cache";
constexpr size_t kMaxLocationBytes = 4096;
constexpr size_t kMaxAbsentNames = 10'000;
constexpr uint64_t kMaxComparedBytes = 64 << 20;
constexpr size_t kDigestChars = 64;
// What is written to the file at once. The page cache keeps a file in pieces as large as it was
// written in, and sends small ones more slowly for as long as they stay.
constexpr size_t kWrittenBytes = 1 << 20;

int64_t steady_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The folder's lock, which says whose files it holds.
Result<int> lock_folder(const std::string& folder, const std::string& location) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return manifests::io_error(folder, "make the folder of the cache", error.value());
  const std::string path = folder + kLockName;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return manifests::io_error(path, "open the lock of the cache", errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return Error{ErrorKind::kIo,
                 folder + ": another process uses this cache; give each its own by --cache"};
  }
  std::string held(kMaxLocationBytes, '\0');
  const ssize_t got = ::pread(fd, held.data(), held.size(), 0);
  held.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (!held.empty() && held != location) {
    ::close(fd);
    return Error{ErrorKind::kUsage, folder + ": holds files of " + held +
                                        "; empty it, or give another folder by --cache"};
  }
  // Synced, lest a power cut leaves files of nobody, that another store's cache would take over.
  if (held.empty() &&
      (::pwrite(fd, location.data(), location.size(), 0) != static_cast<ssize_t>(location.size()) ||
       ::fsync(fd) != 0)) {
    const int reason = errno;
    ::close(fd);
    return manifests::io_error(path, "write the lock of the cache", reason);
  }
  return fd;
}

}  // namespace

ReadThrough::ReadThrough(std::shared_ptr<manifests::Store> store, ReadThroughParams params,
                         int lock)
    : params_(std::move(params)), lock_(lock), store_(std::move(store)) {}

Result<std::unique_ptr<ReadThrough>> ReadThrough::open(std::shared_ptr<manifests::Store> store,
                                                       ReadThroughParams params) {
  if (!params.now_s) params.now_s = steady_s;
  auto lock = lock_folder(params.folder, store->name());
  if (!lock.ok()) return lock.error();
  std::unique_ptr<ReadThrough> through(new ReadThrough(std::move(store), std::move(params), *lock));
  if (Status taken = through->take_over(); !taken.ok()) return taken.error();
  for (unsigned i = 0; i < std::max(1u, through->params_.threads); ++i) {
    through->threads_.push_back(
        start_thread_without_signals([self = through.get()] { self->work(); }));
  }
  return through;
}

ReadThrough::~ReadThrough() {
  stop();
  ::close(lock_);
}

std::shared_ptr<manifests::Store> ReadThrough::store() const {
  const std::lock_guard lock(mutex_);
  return store_;
}

void ReadThrough::use(std::shared_ptr<manifests::Store> store) {
  const std::lock_guard lock(mutex_);
  store_.swap(store);
}

void ReadThrough::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  store()->abandon();
  wakes_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

Status ReadThrough::take_over() {
  manifests::remove_abandoned(params_.folder);
  manifests::DirectoryStore here(params_.folder);
  const int64_t now = now_s(), unix_now = std::time(nullptr);
  Status listed = here.list("", [&](const manifests::ListedFile& file) {
    index_.adopt(file.path, file.bytes, now - std::max<int64_t>(0, unix_now - file.modified_s));
    return Status();
  });
  if (listed.ok()) evict();
  return listed;
}

std::shared_ptr<CacheEntry> ReadThrough::entry_of(const std::string& path) {
  std::shared_ptr<CacheEntry> entry = index_.find(path);
  // Evicted in this moment: whoever holds the file serves it to its end.
  return entry ? entry : std::make_shared<CacheEntry>();
}

ReadThrough::Freshness ReadThrough::freshness(const CacheEntry& entry) const {
  const int64_t age_s = now_s() - entry.checked_s;
  if (age_s <= params_.fresh_s) return Freshness::kFresh;
  return age_s <= params_.fresh_s + params_.stale_s ? Freshness::kStale : Freshness::kExpired;
}

void ReadThrough::fetch(const std::string& path, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    const auto absent = absent_until_s_.find(path);
    const bool is_absent = absent != absent_until_s_.end() && now_s() < absent->second;
    if (!is_absent) return join(path, std::move(done));
  }
  if (done) done(Outcome::kAbsent);
}

// Without memory for it, all is as it was: nothing is under way that no thread would end.
void ReadThrough::join(const std::string& path, Done done) {
  if (const auto known = fetches_.find(path); known != fetches_.end()) {
    if (done) known->second.waiting.push_back(std::move(done));
    return;
  }
  Fetch fetch;
  if (done) fetch.waiting.push_back(std::move(done));
  queue_.push_back(path);
  try {
    fetches_.emplace(path, std::move(fetch));
  } catch (const std::bad_alloc&) {
    queue_.pop_back();
    throw;
  }
  wakes_.notify_one();
}

void ReadThrough::work() {
  while (true) {
    std::string path;
    {
      std::unique_lock lock(mutex_);
      wakes_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      path = std::move(queue_.front());
      queue_.pop_front();
    }
    const Outcome outcome = run(path);
    std::vector<Done> waiting;
    {
      const std::lock_guard lock(mutex_);
      waiting = std::move(fetches_.extract(path).mapped().waiting);
      remember(path, outcome);
    }
    for (const Done& done : waiting) wake(done, outcome);
  }
}

// Without memory for it the store is asked once more.
void ReadThrough::remember(const std::string& path, Outcome outcome) noexcept {
  if (absent_until_s_.size() >= kMaxAbsentNames) absent_until_s_.clear();
  absent_until_s_.erase(path);
  if (outcome != Outcome::kAbsent) return;
  try {
    absent_until_s_[path] = now_s() + params_.absent_s;
  } catch (const std::bad_alloc&) {
  }
}

// Who cannot be woken for lack of memory finds out when it looks next.
void ReadThrough::wake(const Done& done, Outcome outcome) noexcept {
  try {
    done(outcome);
  } catch (const std::bad_alloc&) {
  }
}

ReadThrough::Outcome ReadThrough::run(const std::string& path) noexcept {
  try {
    Result<Outcome> outcome = run_once(path);
    if (outcome.ok()) return *outcome;
    fail(path, "", outcome.error().message);
  } catch (const std::exception& error) {  // out of memory: costs this fetch only
    fail(path, path, error.what());
  }
  return Outcome::kFailed;
}

void ReadThrough::fail(const std::string& path, std::string_view where,
                       std::string_view cause) noexcept {
  counts_.failed_fetches++;
  // What is there counts as stale, not as too old, so that not every client waits for a store that
  // is gone.
  if (const auto entry = index_.find(path)) entry->checked_s = now_s() - params_.fresh_s - 1;
  try {
    std::string line(where);
    if (!line.empty()) line += ": ";
    tell(line.append(cause));
  } catch (const std::bad_alloc&) {  // the count tells
  }
}

Result<ReadThrough::Outcome> ReadThrough::run_once(const std::string& path) {
  if (file_kind(path) == FileKind::kOther) return Outcome::kAbsent;
  auto file = StagedFile::create(params_.folder);
  if (!file.ok()) return file.error();
  manifests::Sha256 hash;
  uint64_t bytes = 0;
  std::vector<std::byte> gathered;
  const auto write = [&]() -> Status {
    Status written = file->write(bytes - gathered.size(), gathered);
    gathered.clear();
    return written;
  };
  const std::shared_ptr<manifests::Store> store = this->store();
  auto read = store->read(path, index_.tag(path), [&](std::span<const std::byte> piece) -> Status {
    if (piece.size() > params_.max_bytes - bytes) {
      return Error{ErrorKind::kIo, path + ": larger than the whole cache; see --cache-bytes"};
    }
    hash.update(piece);
    gathered.insert(gathered.end(), piece.begin(), piece.end());
    bytes += piece.size();
    return gathered.size() < kWrittenBytes ? Status() : write();
  });
  if (!read.ok()) return read.error();
  using Kind = manifests::ReadOutcome::Kind;
  if (read->kind == Kind::kAbsent) {
    counts_.absent++;
    index_.remove(path);
    ::unlink(full(path).c_str());
    return Outcome::kAbsent;
  }
  if (read->kind == Kind::kUnchanged) {
    counts_.revalidations++;
    if (const auto entry = index_.find(path)) entry->checked_s = now_s();
    return Outcome::kStored;
  }
  if (Status written = write(); !written.ok()) return written.error();
  counts_.fetched_bytes += bytes;
  if (Status checked = check_digest(path, hash.finish()); !checked.ok()) return checked.error();
  Status placed = place(path, std::move(*file), bytes, std::move(read->facts.tag));
  if (!placed.ok()) return placed.error();
  evict();
  return Outcome::kStored;
}

// Objects say in their names what their bytes are.
Status ReadThrough::check_digest(const std::string& path, const manifests::Digest& found) {
  if (file_kind(path) != FileKind::kObject) return {};
  const std::string name = path.substr(path.rfind('/') + 1, kDigestChars);
  if (found.hex() == name) return {};
  counts_.damaged_objects++;
  return Error{ErrorKind::kCorrupt, store()->name() + ": " + path + ": its bytes have the digest " +
                                        found.hex() + "; not kept"};
}

bool ReadThrough::is_same_as_cached(const std::string& path, const StagedFile& file,
                                    uint64_t bytes) const {
  if (bytes > kMaxComparedBytes) return false;
  const auto cached = manifests::read_file(full(path), bytes);
  if (!cached.ok() || cached->size() != bytes) return false;
  std::vector<std::byte> fetched(bytes);
  return file.read(0, fetched).ok() && fetched == *cached;
}

// What did not change keeps its place, and with it the tag that clients know.
Status ReadThrough::place(const std::string& path, StagedFile file, uint64_t bytes,
                          std::string tag) {
  const bool may_be_there = file_kind(path) != FileKind::kObject && index_.find(path) != nullptr;
  if (may_be_there && is_same_as_cached(path, file, bytes)) {
    index_.put(path, bytes, std::move(tag), now_s());
    return {};
  }
  if (Status synced = file.sync(); !synced.ok()) return synced;
  std::error_code error;
  std::filesystem::create_directories(manifests::folder_of(full(path)), error);
  if (error) return manifests::io_error(full(path), "make its folder", error.value());
  if (Status renamed = file.rename_to(full(path)); !renamed.ok()) return renamed;
  index_.put(path, bytes, std::move(tag), now_s());
  return {};
}

// A tenth more than needed, so that not every fetch has to look for what may go.
void ReadThrough::evict() {
  if (index_.bytes() <= params_.max_bytes) return;
  for (const std::string& path : index_.take_beyond(params_.max_bytes - params_.max_bytes / 10)) {
    ::unlink(full(path).c_str());
    counts_.evicted_files++;
  }
}

// At most one line a second: a store that is gone would fill a disk.
void ReadThrough::tell(const std::string& line) {
  if (!params_.notice) return;
  {
    const std::lock_guard lock(mutex_);
    if (told_s_ == now_s() || stopping_) return;
    told_s_ = now_s();
  }
  params_.notice(line);
}

std::string ReadThrough::metrics_text() const {
  std::string text;
  const auto add = [&](const char* name, const char* kind, const char* what, uint64_t value) {
    text += std::string("# HELP kvcast_cache_") + name + " " + what + "\n# TYPE kvcast_cache_" +
            name + " " + kind + "\nkvcast_cache_" + name + " " + std::to_string(value) + "\n";
  };
  const char* counter = "counter";
  add("hits_total", counter, "Requests answered from the cache.", counts_.hits);
  add("stale_hits_total", counter, "Of them, while the store was asked again, or could not tell.",
      counts_.stale_hits);
  add("misses_total", counter, "Requests that waited for the store.", counts_.misses);
  add("absent_total", counter, "Fetches of names that the store does not have.", counts_.absent);
  add("revalidations_total", counter, "Fetches that found their file unchanged.",
      counts_.revalidations);
  add("fetched_bytes_total", counter, "Bytes from the store.", counts_.fetched_bytes);
  add("failed_fetches_total", counter, "Fetches that failed.", counts_.failed_fetches);
  add("damaged_objects_total", counter, "Objects that were not what they are named.",
      counts_.damaged_objects);
  add("evicted_files_total", counter, "Files removed for others.", counts_.evicted_files);
  add("files", "gauge", "Files in the cache.", index_.files());
  add("bytes", "gauge", "Bytes in the cache.", index_.bytes());
  add("max_bytes", "gauge", "Its limit.", params_.max_bytes);
  return text;
}

}  // namespace kvcast::origin
