#include "origin/files/file_cache.h"

#include <unistd.h>

#include <cerrno>
#include <iterator>

#include "origin/http/gzip.h"

namespace kvcast::origin {
namespace {

// Less if the file has become shorter.
std::string read_whole(const CachedFile& file) {
  std::string text(file.facts.bytes, '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::pread(file.descriptor.get(), text.data() + have, text.size() - have,
                                static_cast<off_t>(have));
    if (got <= 0) break;
    have += static_cast<size_t>(got);
  }
  text.resize(have);
  return text;
}

}  // namespace

FileCache::Found FileCache::open(const std::string& path, Clock::time_point now) {
  if (const auto known = by_path_.find(path); known != by_path_.end()) {
    const Entries::iterator entry = known->second;
    if (is_current(*entry, now)) {
      entry->used = now;
      entries_.splice(entries_.begin(), entries_, entry);
      return {0, entry->file};
    }
    drop(entry);
  }
  return open_new(path, now);
}

bool FileCache::is_current(Entry& entry, Clock::time_point now) const {
  const bool is_trusted = entry.file->facts.kind == FileKind::kObject &&
                          now - entry.checked < std::chrono::milliseconds(params_.object_trust_ms);
  if (is_trusted) return true;
  entry.checked = now;
  return root_.stat(entry.path) == entry.file->info;
}

FileCache::Found FileCache::open_new(const std::string& path, Clock::time_point now) {
  OpenedFile opened = root_.open(path);
  if (opened.error_status == 503 && !entries_.empty()) {  // the cache may hold what is missing
    entries_.clear();
    by_path_.clear();
    opened = root_.open(path);
  }
  if (opened.error_status != 0) return {opened.error_status, nullptr};
  auto file = std::make_shared<CachedFile>();
  file->descriptor = std::move(opened.descriptor);
  file->info = opened.info;
  file->facts = describe_file(path, opened.info);
  if (params_.max_files == 0) return {0, std::move(file)};
  if (entries_.size() >= params_.max_files) drop(std::prev(entries_.end()));
  entries_.push_front(Entry{path, file, now, now});
  by_path_.emplace(entries_.front().path, entries_.begin());
  return {0, std::move(file)};
}

bool FileCache::provide_content(CachedFile& file) {
  if (file.facts.bytes > kMaxKeptBytes) return false;
  if (file.content.empty()) file.content = read_whole(file);
  return file.content.size() == file.facts.bytes;
}

bool FileCache::provide_gzip(CachedFile& file) {
  if (!file.gzip_was_tried && is_worth_compressing(file.facts)) {
    const std::string text = read_whole(file);
    if (text.size() == file.facts.bytes) {
      file.gzip = gzip(text);
      file.gzip_facts = describe_gzip(file.facts, file.gzip.size());
    }
  }
  file.gzip_was_tried = true;
  return !file.gzip.empty();
}

void FileCache::sweep(Clock::time_point now) {
  while (!entries_.empty() &&
         now - entries_.back().used >= std::chrono::milliseconds(params_.idle_ms)) {
    drop(std::prev(entries_.end()));
  }
}

void FileCache::drop(Entries::iterator entry) {
  by_path_.erase(entry->path);
  entries_.erase(entry);
}

}  // namespace kvcast::origin
