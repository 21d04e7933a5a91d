#include "tools/commands/stored_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "manifests/file.h"
#include "manifests/manifest.h"
#include "manifests/object.h"
#include "tools/commands/url_reader.h"

namespace kvcast::tools {
namespace {

namespace fs = std::filesystem;

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr std::string_view kObjectMagic = "\x89KVO";

bool is_url(const std::string& name) {
  return name.starts_with("http://") || name.starts_with("https://");
}

// By the first bytes, or where they are damaged by the name; a safetensors file is a length and a
// JSON object.
Result<StoredKind> kind_of(std::string_view head, const std::string& name) {
  if (head.starts_with(kObjectMagic)) return StoredKind::kObject;
  const size_t first = head.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && head[first] == '{') {
    return head.find("\"presentation\"") == head.npos ? StoredKind::kManifest
                                                      : StoredKind::kPrefixEntry;
  }
  if (head.size() > 8 && head[8] == '{') return StoredKind::kKvFile;
  if (name.ends_with(".kvo")) return StoredKind::kObject;
  if (name.ends_with(".json")) return StoredKind::kManifest;
  if (name.ends_with(".safetensors")) return StoredKind::kKvFile;
  return Error{
      ErrorKind::kCorrupt,
      fmt::format("{}: neither a manifest, an object, a safetensors file nor a store", name)};
}

Result<StoredInput> open_url(const std::string& url) {
  auto reader = std::make_unique<UrlReader>();
  auto bytes = reader->fetch(url);
  if (!bytes.ok()) return bytes.error();
  StoredInput input;
  input.name = url;
  input.bytes = std::move(*bytes);
  const auto kind = kind_of(input.text().substr(0, 64), url);
  if (!kind.ok()) return kind.error();
  input.kind = *kind;
  if (input.kind != StoredKind::kManifest) return input;
  const auto manifest = manifests::read_manifest(input.text(), url);
  if (manifest.ok()) {
    const auto bases = reader->set_bases(url, manifest->base_urls);
    if (!bases.ok()) return bases.error();
  }
  input.objects = std::move(reader);
  return input;
}

Result<std::string> head_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::array<char, 64> head;
  in.read(head.data(), head.size());
  if (in.bad() || (in.fail() && !in.eof())) {
    return Error{ErrorKind::kIo, fmt::format("{}: cannot read", path)};
  }
  return std::string(head.data(), static_cast<size_t>(in.gcount()));
}

}  // namespace

Result<StoredInput> open_stored_input(const std::string& path_or_url) {
  if (is_url(path_or_url)) return open_url(path_or_url);
  StoredInput input;
  input.name = path_or_url;
  std::error_code error;
  const fs::file_status status = fs::status(path_or_url, error);
  if (!fs::exists(status)) {
    return Error{ErrorKind::kIo, fmt::format("{}: no such file or folder", path_or_url)};
  }
  if (fs::is_directory(status)) return input;
  const auto head = head_of(path_or_url);
  if (!head.ok()) return head.error();
  const auto kind = kind_of(*head, path_or_url);
  if (!kind.ok()) return kind.error();
  input.kind = *kind;
  if (input.kind == StoredKind::kKvFile) return input;
  auto bytes = manifests::read_file(path_or_url, input.kind == StoredKind::kManifest
                                                     ? manifests::kMaxManifestBytes
                                                     : manifests::kMaxObjectBytes);
  if (!bytes.ok()) return bytes.error();
  input.bytes = std::move(*bytes);
  // t/<tenant>/m/ID.json and t/<tenant>/o/ab/DIGEST.kvo
  fs::path root = fs::absolute(path_or_url).lexically_normal().parent_path().parent_path();
  if (input.kind == StoredKind::kObject) {
    if (root.filename() != "o") return input;
    root = root.parent_path();
  }
  input.objects = std::make_unique<packager::FolderObjectReader>(root.string());
  return input;
}

}  // namespace kvcast::tools
