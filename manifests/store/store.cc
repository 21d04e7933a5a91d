#include "manifests/store.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

namespace kvcast::manifests {

Result<std::optional<std::string>> read_text(Store& store, const std::string& path,
                                             uint64_t limit) {
  std::string text;
  const auto read = store.read(path, "", [&](std::span<const std::byte> piece) -> Status {
    if (piece.size() > limit - text.size()) {
      return Error{ErrorKind::kCorrupt, store.name() + ": " + path + " is longer than " +
                                            std::to_string(limit) + " bytes"};
    }
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return {};
  });
  if (!read.ok()) return read.error();
  if (read->kind == ReadOutcome::Kind::kAbsent) return std::optional<std::string>();
  return std::optional<std::string>(std::move(text));
}

Status for_each_at_once(size_t count, unsigned threads, const std::function<Status(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status first;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      Status done = work(i);
      if (done.ok()) continue;
      next = count;
      const std::lock_guard lock(mutex);
      if (first.ok()) first = std::move(done);
    }
  };
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < std::min<size_t>(threads, count); ++i) others.emplace_back(run);
  run();
  others.clear();
  return first;
}

}  // namespace kvcast::manifests
