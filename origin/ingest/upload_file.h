// The file that an upload grows in: hidden from readers, in the tenant's folder .incoming, locked
// while it is written. Objects' are named "<digest>-<total bytes>", so that what arrived before a
// connection broke can be found and gone on with; others are nameless ("tmp-…") and go with their
// upload. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "manifests/digest.h"
#include "origin/files/root.h"
#include "origin/ingest/folders.h"

namespace kvcast::origin {

inline constexpr char kIncomingFolder[] = ".incoming";

class UploadFile {
 public:
  enum class Start { kNew, kNameless, kGoOn };
  struct Opened;  // a file, or an errno: EBUSY where someone else is writing it, ENOENT where there
                  // is nothing to go on with

  // `folder` is the tenant's .incoming, below folders.root(); it is made. `name` as above;
  // kNameless needs none. kNew drops what was there, and is nameless where someone else is writing
  // it. kGoOn reads what is there again, for the digest.
  static Opened open(Folders& folders, const std::string& folder, const std::string& name,
                     Start start);
  ~UploadFile();  // gone, unless it is worth keeping or has been published
  UploadFile(UploadFile&& other) noexcept;
  UploadFile& operator=(UploadFile&&) = delete;

  uint64_t bytes() const { return bytes_; }
  // 0, or an errno: after one, the file is not worth keeping.
  int write(std::span<const std::byte> more);
  // Asks for room on the disk for the whole; 0 where nobody can tell.
  int make_room(uint64_t total);
  manifests::Digest digest();            // of everything written; once
  std::optional<std::string> content();  // read back; nothing if that fails
  int sync();
  int publish(const std::string& path);  // over what is there; the folder is not synced
  void keep();                           // if it has a name and holds anything
  bool is_kept() const { return is_kept_; }
  void drop() { is_kept_ = false; }
  const std::string& path() const { return path_; }

 private:
  UploadFile(std::string path, Descriptor file, bool name_is_random)
      : path_(std::move(path)), file_(std::move(file)), name_is_random_(name_is_random) {}
  int read_again();

  std::string path_;  // empty once published
  Descriptor file_;
  bool name_is_random_, is_kept_ = false;
  uint64_t bytes_ = 0;
  manifests::Sha256 hash_;
};

struct UploadFile::Opened {
  int error = 0;
  std::optional<UploadFile> file;
};

// How much of an upload lies there, written on or not.
uint64_t arrived_bytes(const std::string& path);

// Whether someone is writing the file.
bool is_being_written(const std::string& path);

}  // namespace kvcast::origin
