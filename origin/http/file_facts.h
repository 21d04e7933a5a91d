// All that a response says of a file, worked out once per opened file. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "origin/http/file_kind.h"

namespace kvcast::origin {

struct FileFacts {
  FileKind kind = FileKind::kOther;
  uint64_t bytes = 0;
  std::string_view content_type, cache_control;  // static storage
  std::string_view content_encoding;             // empty: as it is
  bool varies_by_encoding = false;               // another request may get another encoding
  std::string entity_tag;                        // strong, with quotes
  int64_t last_modified_s = 0;                   // since 1970
  std::string last_modified;                     // the same as an HTTP date
};

// `path` as parse_target gives it.
FileFacts describe_file(std::string_view path, const FileInfo& info);

// Whether a compressed form is worth making: manifests are read before anything else can be, and
// shrink to a third; objects are entropy-coded already.
bool is_worth_compressing(const FileFacts& facts);

// The gzip form of the same file: other bytes, so another tag.
FileFacts describe_gzip(const FileFacts& whole, uint64_t gzip_bytes);

}  // namespace kvcast::origin
