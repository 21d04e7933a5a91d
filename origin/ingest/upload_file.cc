#include "origin/ingest/upload_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <random>
#include <utility>
#include <vector>

namespace kvcast::origin {
namespace {

constexpr size_t kPieceBytes = 1u << 20;

std::string random_name() {
  std::random_device random;
  std::array<char, 32> name;
  std::snprintf(name.data(), name.size(), "tmp-%08x%08x", random(), random());
  return name.data();
}

// Locked, and still what the path names: who had the lock before may have renamed or removed it.
bool is_ours(const Descriptor& file, const std::string& path) {
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
  struct stat open_one {
  }, named{};
  return ::fstat(file.get(), &open_one) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

Descriptor lock_existing(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file.is_open()) return {};
  if (!is_ours(file, path)) {
    errno = EBUSY;
    return {};
  }
  return file;
}

Descriptor create(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.is_open() && !is_ours(file, path)) {
    errno = EBUSY;
    return {};
  }
  return file;
}

}  // namespace

UploadFile::Opened UploadFile::open(Folders& folders, const std::string& folder,
                                    const std::string& name, Start start) {
  if (const int error = folders.make(folder); error != 0) return {error, {}};
  const std::string path = folders.full(folder) + "/" + name;
  if (start == Start::kGoOn) {
    Descriptor file = lock_existing(path);
    if (!file.is_open()) return {errno, {}};
    UploadFile upload(path, std::move(file), false);
    upload.is_kept_ = true;
    if (const int error = upload.read_again(); error != 0) return {error, {}};
    return {0, std::move(upload)};
  }
  if (start == Start::kNew) {
    if (const Descriptor old = lock_existing(path); old.is_open()) ::unlink(path.c_str());
    Descriptor file = create(path);
    if (file.is_open()) return {0, UploadFile(path, std::move(file), false)};
    if (errno != EEXIST && errno != EBUSY) return {errno, {}};
  }
  const std::string nameless = folders.full(folder) + "/" + random_name();
  Descriptor file = create(nameless);
  if (!file.is_open()) return {errno, {}};
  return {0, UploadFile(nameless, std::move(file), true)};
}

UploadFile::~UploadFile() {
  if (!path_.empty() && !is_kept_) ::unlink(path_.c_str());
}

UploadFile::UploadFile(UploadFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      file_(std::move(other.file_)),
      name_is_random_(other.name_is_random_),
      is_kept_(other.is_kept_),
      bytes_(other.bytes_),
      hash_(std::move(other.hash_)) {}

int UploadFile::read_again() {
  std::vector<std::byte> piece(kPieceBytes);
  while (true) {
    const ssize_t got =
        ::pread(file_.get(), piece.data(), piece.size(), static_cast<off_t>(bytes_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return 0;
    hash_.update(std::span(piece).first(static_cast<size_t>(got)));
    bytes_ += static_cast<uint64_t>(got);
  }
}

int UploadFile::write(std::span<const std::byte> more) {
  hash_.update(more);
  while (!more.empty()) {
    const ssize_t put = ::pwrite(file_.get(), more.data(), more.size(), static_cast<off_t>(bytes_));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      is_kept_ = false;
      return put < 0 ? errno : ENOSPC;
    }
    bytes_ += static_cast<uint64_t>(put);
    more = more.subspan(static_cast<size_t>(put));
  }
  return 0;
}

int UploadFile::make_room(uint64_t total) {
  if (total <= bytes_) return 0;
  const int failed = ::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(bytes_),
                                 static_cast<off_t>(total - bytes_));
  return failed != 0 && (errno == ENOSPC || errno == EDQUOT) ? errno : 0;
}

void UploadFile::keep() {
  // What make_room() asked for and nobody has written goes back.
  is_kept_ =
      !name_is_random_ && bytes_ > 0 && ::ftruncate(file_.get(), static_cast<off_t>(bytes_)) == 0;
}

manifests::Digest UploadFile::digest() {
  return hash_.finish();
}

std::optional<std::string> UploadFile::content() {
  std::string text(bytes_, '\0');
  for (size_t have = 0; have < text.size();) {
    const ssize_t got =
        ::pread(file_.get(), text.data() + have, text.size() - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    have += static_cast<size_t>(got);
  }
  return text;
}

int UploadFile::sync() {
  return ::fsync(file_.get()) == 0 ? 0 : errno;
}

int UploadFile::publish(const std::string& path) {
  if (std::rename(path_.c_str(), path.c_str()) != 0) return errno;
  path_.clear();
  return 0;
}

uint64_t arrived_bytes(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

bool is_being_written(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return file.is_open() && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace kvcast::origin
