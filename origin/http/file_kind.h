// What a path below the root tells of its file: how long caches may keep it, its media type, its
// entity tag. Pure. Paths: manifests/layout.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvcast::origin {

struct FileInfo {
  uint64_t bytes = 0;
  int64_t mtime_ns = 0;  // since 1970
  uint64_t inode = 0;
  uint64_t device = 0;
  int64_t ctime_ns = 0;  // since 1970
  bool operator==(const FileInfo&) const = default;
};

enum class FileKind {
  kObject,       // t/<tenant>/o/ab/<digest>.kvo: immutable
  kManifest,     // t/<tenant>/m/<presentation>.json: replaced now and then
  kPrefixEntry,  // t/<tenant>/k/<model>/<prefix hash>
  kOther,
};
FileKind file_kind(std::string_view path);

// Value of Cache-Control; private where a token opened the file.
std::string_view cache_control(FileKind kind, bool is_private = false);

// By the kind, else by the suffix; application/octet-stream when unknown.
std::string_view content_type(FileKind kind, std::string_view path);

// Strong, with quotes. "<digest>.kvo" carries its digest, wherever it lies. Of other files: size,
// time of modification and inode, so a file put in another's place by rename differs even within
// one tick of the file system's clock.
std::string entity_tag(std::string_view path, const FileInfo& info);

}  // namespace kvcast::origin
