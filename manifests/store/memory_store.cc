#include "manifests/memory_store.h"

#include <filesystem>
#include <utility>

namespace kvcast::manifests {

void MemoryStore::fail_on_call(size_t n, bool for_good) {
  const std::lock_guard lock(mutex_);
  fail_in_ = n;
  fails_for_good_ = for_good;
}

Status MemoryStore::count() {
  const std::lock_guard lock(mutex_);
  ++calls_;
  if (fail_in_ == 0 || --fail_in_ > 0) return {};
  if (fails_for_good_) fail_in_ = 1;
  return Error{ErrorKind::kIo, "memory: this call was to fail"};
}

StoredFacts MemoryStore::facts_of(const File& file) {
  return {file.bytes.size(), std::to_string(file.version)};
}

Result<StagedFile> MemoryStore::stage(const std::string& /*folder*/) {
  if (Status counted = count(); !counted.ok()) return counted.error();
  return StagedFile::create(std::filesystem::temp_directory_path().native());
}

Status MemoryStore::put(std::vector<Upload> uploads) {
  for (const Upload& upload : uploads) {
    if (Status counted = count(); !counted.ok()) return counted;
    std::string bytes(upload.bytes, '\0');
    Status read = upload.file.read(0, std::as_writable_bytes(std::span(bytes)));
    if (!read.ok()) return read;
    const std::lock_guard lock(mutex_);
    if (upload.only_if_absent && files_.contains(upload.path)) continue;
    files_[upload.path] = {std::move(bytes), ++versions_};
  }
  return {};
}

Result<std::optional<StoredFacts>> MemoryStore::look(const std::string& path) {
  if (Status counted = count(); !counted.ok()) return counted.error();
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(path);
  if (found == files_.end()) return std::optional<StoredFacts>();
  return std::optional(facts_of(found->second));
}

Result<ReadOutcome> MemoryStore::read(const std::string& path, const std::string& known_tag,
                                      const Sink& sink) {
  if (on_read) on_read(path);
  if (Status counted = count(); !counted.ok()) return counted.error();
  File file;
  {
    const std::lock_guard lock(mutex_);
    ++reads_;
    const auto found = files_.find(path);
    if (found == files_.end()) return ReadOutcome{};
    file = found->second;
  }
  const StoredFacts facts = facts_of(file);
  if (facts.tag == known_tag) return ReadOutcome{ReadOutcome::Kind::kUnchanged, facts};
  // In two pieces, as a network would.
  const auto bytes = std::as_bytes(std::span(file.bytes));
  for (const auto piece : {bytes.first(bytes.size() / 2), bytes.subspan(bytes.size() / 2)}) {
    if (Status taken = sink(piece); !taken.ok()) return taken.error();
  }
  return ReadOutcome{ReadOutcome::Kind::kRead, facts};
}

Result<bool> MemoryStore::remove(const std::string& path) {
  if (Status counted = count(); !counted.ok()) return counted.error();
  const std::lock_guard lock(mutex_);
  return files_.erase(path) > 0;
}

Status MemoryStore::list(const std::string& prefix, const Visit& visit) {
  if (Status counted = count(); !counted.ok()) return counted;
  for (const auto& [path, bytes] : files()) {
    if (!path.starts_with(prefix)) continue;
    if (Status visited = visit({path, bytes.size(), 0}); !visited.ok()) return visited;
  }
  return {};
}

size_t MemoryStore::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

size_t MemoryStore::reads() const {
  const std::lock_guard lock(mutex_);
  return reads_;
}

std::map<std::string, std::string> MemoryStore::files() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> all;
  for (const auto& [path, file] : files_) all.emplace(path, file.bytes);
  return all;
}

void MemoryStore::set(const std::string& path, std::string bytes) {
  const std::lock_guard lock(mutex_);
  files_[path] = {std::move(bytes), ++versions_};
}

}  // namespace kvcast::manifests
