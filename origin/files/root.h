// The directory that is served, and nothing outside it.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "manifests/result.h"
#include "origin/http/file_kind.h"

namespace kvcast::origin {

// Owns a file descriptor, or none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct OpenedFile {
  int error_status = 0;  // 0; 404: not there, not a regular file, outside, not ours to read; 503:
                         // out of descriptors; 500
  Descriptor descriptor;
  FileInfo info;
};

// Two ways to stay inside. kOpenat2 asks the kernel (Linux 5.6: RESOLVE_BENEATH), so that symbolic
// links work as long as they stay below the root. kWalk opens component by component and follows no
// link at all. Either holds against someone who changes the tree while it is read. Any number of
// threads may call open().
class Root {
 public:
  enum class Method { kBest, kOpenat2, kWalk };

  // kBest: openat2 where the kernel has it and lets us, else the walk. kOpenat2 on a kernel without
  // is an error.
  static manifests::Result<Root> open_directory(const std::string& path,
                                                Method method = Method::kBest);

  Method method() const { return method_; }  // kOpenat2 or kWalk

  // `path` as parse_target gives it: relative, no empty components, none starting with a dot.
  OpenedFile open(const std::string& path) const;
  // Whether the directory itself still has a name.
  bool is_there() const;
  // What lies at the path now, for comparing with an opened file's info and nothing else: folders
  // on the way may have become links that leave the root.
  std::optional<FileInfo> stat(const std::string& path) const;

 private:
  Root(Descriptor descriptor, Method method)
      : descriptor_(std::move(descriptor)), method_(method) {}
  int open_beneath(const std::string& path) const;
  int open_by_walk(const std::string& path) const;

  Descriptor descriptor_;
  Method method_;
};

}  // namespace kvcast::origin
