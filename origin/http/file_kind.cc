#include "origin/http/file_kind.h"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "manifests/digest.h"
#include "manifests/layout.h"

namespace kvcast::origin {
namespace {

constexpr std::string_view kObjectSuffix = ".kvo";

// "ab/cd" → "ab", leaving "cd"; the last component leaves nothing.
std::string_view next_component(std::string_view& path) {
  const size_t slash = path.find('/');
  const std::string_view component = path.substr(0, slash);
  path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  return component;
}

bool is_digest(std::string_view text) {
  return manifests::Digest::from_hex(text).has_value();
}

bool is_object_name(std::string_view name) {
  return name.ends_with(kObjectSuffix) &&
         is_digest(name.substr(0, name.size() - kObjectSuffix.size()));
}

}  // namespace

FileKind file_kind(std::string_view path) {
  if (next_component(path) != "t" || !manifests::is_valid_name(next_component(path))) {
    return FileKind::kOther;
  }
  const std::string_view folder = next_component(path);
  const std::string_view first = next_component(path);
  if (folder == "m") {
    return path.empty() && first.ends_with(".json") ? FileKind::kManifest : FileKind::kOther;
  }
  const std::string_view second = next_component(path);
  if (!path.empty()) return FileKind::kOther;
  if (folder == "o" && is_object_name(second) && second.substr(0, 2) == first)
    return FileKind::kObject;
  if (folder == "k" && is_digest(second)) return FileKind::kPrefixEntry;
  return FileKind::kOther;
}

std::string_view cache_control(FileKind kind, bool is_private) {
  switch (kind) {
    case FileKind::kObject:
      return is_private ? "private, max-age=31536000, immutable"
                        : "public, max-age=31536000, immutable";
    case FileKind::kManifest:
    case FileKind::kPrefixEntry:
      return is_private ? "private, max-age=5, stale-while-revalidate=60"
                        : "max-age=5, stale-while-revalidate=60";
    case FileKind::kOther:
      break;
  }
  return is_private ? "private, no-cache" : "no-cache";
}

std::string_view content_type(FileKind kind, std::string_view path) {
  constexpr std::string_view kDefault = "application/octet-stream";
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kBySuffix = {{
      {"json", "application/json"},
      {"jsonl", "application/x-ndjson"},
      {"html", "text/html; charset=utf-8"},
      {"txt", "text/plain; charset=utf-8"},
      {"log", "text/plain; charset=utf-8"},
      {"md", "text/markdown; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"wasm", "application/wasm"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"jpg", "image/jpeg"},
      {"xml", "application/xml"},
      {"csv", "text/csv; charset=utf-8"},
  }};
  if (kind == FileKind::kObject) return kDefault;
  if (kind == FileKind::kPrefixEntry) return "application/json";
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return kDefault;
  for (const auto& [suffix, type] : kBySuffix) {
    if (name.substr(dot + 1) == suffix) return type;
  }
  return kDefault;
}

std::string entity_tag(std::string_view path, const FileInfo& info) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (is_object_name(name)) {
    return '"' + std::string(name.substr(0, name.size() - kObjectSuffix.size())) + '"';
  }
  std::array<char, 64> text;
  const int length =
      std::snprintf(text.data(), text.size(), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"", info.bytes,
                    static_cast<uint64_t>(info.mtime_ns), info.inode);
  return std::string(text.data(), static_cast<size_t>(length));
}

}  // namespace kvcast::origin
