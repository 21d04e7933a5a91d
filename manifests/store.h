// Where presentations are kept: named bytes below one root (manifests/layout.h), whether that is a
// directory, memory, a bucket of S3 or an origin that takes PUTs (open_store.h).
//
// Paths are relative, of layout.h's characters, no component empty or starting with a dot. All
// methods may be called by any number of threads and block until done; what is worth another try
// has been tried again when they return an error. Errors name the store, the path and the way out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "manifests/staged_file.h"

namespace kvcast::manifests {

struct StoredFacts {
  uint64_t bytes = 0;
  std::string tag;  // another one when the bytes change; empty: the store tells none
};

struct ReadOutcome {
  enum class Kind { kAbsent, kUnchanged, kRead };
  Kind kind = Kind::kAbsent;
  StoredFacts facts;  // not of kAbsent
};

struct Upload {
  std::string path;
  StagedFile file;  // of this store's stage()
  uint64_t bytes = 0;
  // What has the name already stays, unlooked at: for names that say what the bytes are.
  bool only_if_absent = false;
};

struct ListedFile {
  std::string path;
  uint64_t bytes = 0;
  int64_t modified_s = 0;  // since 1970
};

class Store {
 public:
  using Sink = std::function<Status(std::span<const std::byte>)>;
  using Visit = std::function<Status(const ListedFile&)>;

  virtual ~Store() = default;

  virtual std::string name() const = 0;  // as the user gave it, for messages
  // How many calls at one time make it fastest.
  virtual unsigned parallelism() const { return 1; }

  // An empty file on a local disk from which put() takes bytes: in a directory store in `folder`,
  // which is where putting costs a rename only.
  virtual Result<StagedFile> stage(const std::string& folder) = 0;
  // What killed runs left staged there; what living ones write stays.
  virtual void remove_abandoned(const std::string& /*folder*/) {}
  // Each appears under its name whole or not at all, in any order; many at once cost less than one
  // by one. In a directory the names survive a power cut from the next sync() on.
  virtual Status put(std::vector<Upload> uploads) = 0;
  // Nothing: there is none. What was found, the next sync() makes as safe as what was put.
  virtual Result<std::optional<StoredFacts>> look(const std::string& path) = 0;
  // The bytes in order, in pieces, unless there are none or `known_tag` (empty: none) is still
  // theirs. An error of `sink` ends it and is returned. After an error `sink` may have got a part.
  virtual Result<ReadOutcome> read(const std::string& path, const std::string& known_tag,
                                   const Sink& sink) = 0;
  // Whether there was one.
  virtual Result<bool> remove(const std::string& path) = 0;
  // All files whose paths start with `prefix`, which is empty or ends in '/'; in any order.
  virtual Status list(const std::string& prefix, const Visit& visit) = 0;
  virtual Status sync() = 0;
  // Calls that wait for a network, under way or to come, fail soon: for the end of a server.
  virtual void abandon() {}
};

// The whole of a small file; nothing where there is none. A longer one is an error.
Result<std::optional<std::string>> read_text(Store& store, const std::string& path, uint64_t limit);

// Calls `work(i)` for all i below `count`, by up to `threads` threads; the first error ends it.
Status for_each_at_once(size_t count, unsigned threads, const std::function<Status(size_t)>& work);

}  // namespace kvcast::manifests
