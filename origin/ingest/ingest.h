// Putting objects, manifests and prefix entries into the store, and taking them out: what
// origin/ingest.md promises. All calls may wait for the disk, so they are for threads that serve
// nobody. Thread-safe; an Upload is for one thread at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "origin/http/request.h"
#include "origin/http/router.h"
#include "origin/ingest/folders.h"
#include "origin/ingest/quota.h"
#include "origin/ingest/upload_file.h"

namespace kvcast::origin {

struct IngestParams {
  std::string root;
  std::vector<NamedQuota> quotas;
  size_t max_uploads = 64;  // at one time; beyond: 503
};

// What the client is told.
struct IngestAnswer {
  int status = 0;
  std::string text;                 // for people; the status says it to programs
  std::optional<uint64_t> arrived;  // of an object that comes in pieces
};

class Ingest {
 public:
  explicit Ingest(const IngestParams& params);
  ~Ingest();

  class Upload;
  using Begun = std::variant<IngestAnswer, std::unique_ptr<Upload>>;
  // An answer at once (a question, no room), or an upload that wants `request.body_bytes` bytes.
  Begun begin(const UploadRoute& route, const Request& request);
  // Nothing, or why it has failed.
  std::optional<IngestAnswer> write(Upload& upload, std::span<const std::byte> more);
  // All bytes of the request were written. Conditions are those of `request`.
  IngestAnswer finish(std::unique_ptr<Upload> upload, const Request& request);
  // The connection broke: an object's bytes are kept, to be gone on with.
  void interrupt(std::unique_ptr<Upload> upload);

  IngestAnswer remove(const StoredName& name, const Request& request);

 private:
  IngestAnswer begin_file(const UploadRoute& route, uint64_t total, Upload& upload);
  void keep_arrived(Upload& upload);
  IngestAnswer finish_piece(Upload& upload);
  IngestAnswer check_content(Upload& upload);
  IngestAnswer publish(Upload& upload, const Request& request);
  IngestAnswer check_named(const Upload& upload);
  IngestAnswer remove_locked(const StoredName& name, const Request& request);

  Folders folders_;
  Quotas quotas_;
  const size_t max_uploads_;
  std::atomic<size_t> uploads_{0};
};

}  // namespace kvcast::origin
