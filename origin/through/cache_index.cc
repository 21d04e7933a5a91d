#include "origin/through/cache_index.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

namespace kvcast::origin {
namespace {

// Long ago, so that what is not known to be fresh is not.
constexpr int64_t kNever = std::numeric_limits<int64_t>::min() / 2;

}  // namespace

CacheIndex::Entry& CacheIndex::entry(const std::string& path, uint64_t bytes) {
  Entry& found = entries_[path];
  if (!found.shared) found.shared = std::make_shared<CacheEntry>();
  bytes_ = bytes_ - found.bytes + bytes;
  found.bytes = bytes;
  found.order = ++puts_;
  return found;
}

void CacheIndex::put(const std::string& path, uint64_t bytes, std::string tag, int64_t now_s) {
  const std::lock_guard lock(mutex_);
  Entry& found = entry(path, bytes);
  found.tag = std::move(tag);
  found.shared->used_s = now_s;
  found.shared->checked_s = now_s;
}

void CacheIndex::adopt(const std::string& path, uint64_t bytes, int64_t used_s) {
  const std::lock_guard lock(mutex_);
  Entry& found = entry(path, bytes);
  found.shared->used_s = used_s;
  found.shared->checked_s = kNever;
}

std::shared_ptr<CacheEntry> CacheIndex::find(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(path);
  return found == entries_.end() ? nullptr : found->second.shared;
}

std::string CacheIndex::tag(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(path);
  return found == entries_.end() ? "" : found->second.tag;
}

void CacheIndex::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(path);
  if (found == entries_.end()) return;
  bytes_ -= found->second.bytes;
  entries_.erase(found);
}

std::vector<std::string> CacheIndex::take_beyond(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes_ <= bytes) return {};
  std::vector<std::tuple<int64_t, uint64_t, const std::string*>> by_use;
  by_use.reserve(entries_.size());
  for (const auto& [path, each] : entries_) {
    by_use.emplace_back(each.shared->used_s, each.order, &path);
  }
  std::sort(by_use.begin(), by_use.end());
  std::vector<std::string> gone;
  for (const auto& [used_s, order, path] : by_use) {
    if (bytes_ <= bytes) break;
    gone.push_back(*path);
    bytes_ -= entries_.at(*path).bytes;
  }
  for (const std::string& path : gone) entries_.erase(path);
  return gone;
}

uint64_t CacheIndex::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

size_t CacheIndex::files() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace kvcast::origin
