#include "manifests/file/descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "manifests/file.h"

namespace kvcast::manifests {
namespace {

// Linux moves at most 2^31 - 4096 bytes a call.
constexpr size_t kMaxBytesPerCall = size_t{1} << 30;

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Result<OpenFile> open_regular_file(const std::string& path) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor.is_open()) return io_error(path, "open", errno);
  struct stat info {};
  if (::fstat(descriptor.get(), &info) != 0) return io_error(path, "stat", errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorKind::kIo, fmt::format("{}: not a regular file", path)};
  }
  return OpenFile{std::move(descriptor), static_cast<uint64_t>(info.st_size)};
}

Status read_at(int fd, uint64_t offset, std::span<std::byte> to, std::string_view path) {
  while (!to.empty()) {
    const ssize_t got =
        ::pread(fd, to.data(), std::min(to.size(), kMaxBytesPerCall), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path, "read", errno);
    if (got == 0) {
      return Error{ErrorKind::kIo,
                   fmt::format("{}: ends at byte {}, {} bytes early; is it still being written?",
                               path, offset, to.size())};
    }
    offset += static_cast<uint64_t>(got);
    to = to.subspan(static_cast<size_t>(got));
  }
  return {};
}

Status write_at(int fd, uint64_t offset, std::span<const std::byte> from, std::string_view path) {
  while (!from.empty()) {
    const ssize_t put = ::pwrite(fd, from.data(), std::min(from.size(), kMaxBytesPerCall),
                                 static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return io_error(path, "write", put < 0 ? errno : ENOSPC);
    offset += static_cast<uint64_t>(put);
    from = from.subspan(static_cast<size_t>(put));
  }
  return {};
}

}  // namespace kvcast::manifests
