// The owner of a file descriptor, and reads and writes that finish what they start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "manifests/result.h"

namespace kvcast::manifests {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct OpenFile {
  Descriptor descriptor;
  uint64_t bytes = 0;
};
// For reading; anything but a regular file is an error (a FIFO would block, a device would lie
// about its size).
Result<OpenFile> open_regular_file(const std::string& path);

// All of `to` from `offset` on; a file that ends before is an error.
Status read_at(int fd, uint64_t offset, std::span<std::byte> to, std::string_view path);
// All of `from`. Any number of threads may write different ranges at once.
Status write_at(int fd, uint64_t offset, std::span<const std::byte> from, std::string_view path);

}  // namespace kvcast::manifests
