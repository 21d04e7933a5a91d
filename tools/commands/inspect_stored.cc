#include "tools/commands/inspect_stored.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "manifests/file.h"
#include "manifests/kv_file.h"
#include "manifests/manifest.h"
#include "manifests/object.h"

namespace kvcast::tools {
namespace {

namespace fs = std::filesystem;

using manifests::Error;
using manifests::ErrorKind;
using manifests::Manifest;
using manifests::Result;
using nlohmann::ordered_json;

ordered_json shape(uint32_t heads, uint32_t dim) {
  return fmt::format("{} x {}", heads, dim);
}

void add_model(ordered_json& json, const manifests::ModelIdentity& model) {
  json["model"] = model.name;
  json["weights"] = model.weights;
  if (!model.tokenizer.empty()) json["tokenizer"] = model.tokenizer;
  if (!model.adapter.empty()) json["adapter"] = model.adapter;
  json["dtype"] = model.dtype;
  json["layers"] = model.layers;
  json["keys"] = shape(model.key_heads, model.key_dim);
  json["values"] = shape(model.value_heads, model.value_dim);
}

uint64_t bytes_of_level(const manifests::ChunkEntry& chunk, uint32_t level) {
  uint64_t bytes = 0;
  for (uint32_t plane = 0; plane <= level; ++plane) bytes += chunk.planes[plane].bytes;
  return bytes;
}

ordered_json levels_of(const Manifest& manifest) {
  ordered_json rows = ordered_json::array();
  for (uint32_t level = 0; level < manifest.levels; ++level) {
    uint64_t bytes = 0;
    double distortion = 0;
    for (const manifests::ChunkEntry& chunk : manifest.chunks) {
      bytes += bytes_of_level(chunk, level);
      distortion +=
          chunk.planes[level].distortion * static_cast<double>(chunk.token_end - chunk.token_begin);
    }
    rows.push_back(
        {{"level", level},
         {"bytes", bytes},
         {"of_raw", static_cast<double>(bytes) / static_cast<double>(manifest.raw_bytes)},
         {"distortion", distortion / static_cast<double>(manifest.tokens)}});
  }
  return rows;
}

ordered_json chunks_of(const Manifest& manifest) {
  ordered_json rows = ordered_json::array();
  for (const manifests::ChunkEntry& chunk : manifest.chunks) {
    std::vector<uint64_t> bytes;
    std::vector<double> distortion;
    for (const manifests::PlaneRef& plane : chunk.planes) {
      bytes.push_back(plane.bytes);
      distortion.push_back(plane.distortion);
    }
    rows.push_back(
        {{"tokens", {chunk.token_begin, chunk.token_end}},
         {"plane_bytes", bytes},
         {"distortion", distortion},
         {"exact_bytes", chunk.exact ? ordered_json(chunk.exact->bytes) : ordered_json()}});
  }
  return rows;
}

const char* text_of(const Manifest& manifest) {
  if (!manifest.text) return "absent";
  return manifest.text->object ? "in an object" : "inline";
}

const char* kind_name(manifests::ObjectKind kind) {
  switch (kind) {
    case manifests::ObjectKind::kPlane:
      return "plane";
    case manifests::ObjectKind::kExact:
      return "exact";
    case manifests::ObjectKind::kProfile:
      return "profile";
    case manifests::ObjectKind::kText:
      return "text";
  }
  return "";
}

const char* dtype_name(uint8_t dtype) {
  constexpr const char* kNames[] = {"", "F16", "BF16", "F32", "F8_E4M3", "F8_E5M2"};
  return dtype < std::size(kNames) ? kNames[dtype] : "reserved";
}

// Regular files below, and their bytes.
std::pair<uint64_t, uint64_t> count_files(const fs::path& folder) {
  uint64_t files = 0, bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_regular_file()) continue;
    ++files;
    bytes += it->file_size();
  }
  return {files, bytes};
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!it->path().filename().string().starts_with('.')) entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

void add_presentations(ordered_json& rows, const fs::path& tenant) {
  for (const fs::path& file : sorted_entries(tenant / "m")) {
    ordered_json row = {{"tenant", tenant.filename().string()}, {"manifest", file.string()}};
    const auto bytes = manifests::read_file(file.string(), manifests::kMaxManifestBytes);
    if (bytes.ok()) {
      const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
      if (const auto manifest = manifests::read_manifest(text, file.string()); manifest.ok()) {
        row["model"] = manifest->model.name;
        row["tokens"] = manifest->tokens;
        row["chunks"] = manifest->chunks.size();
        row["raw_bytes"] = manifest->raw_bytes;
      }
    }
    rows.push_back(std::move(row));
  }
}

}  // namespace

Result<ordered_json> inspect_manifest(std::string_view text, const std::string& name) {
  const auto manifest = manifests::read_manifest(text, name);
  if (!manifest.ok()) return manifest.error();
  ordered_json json = {{"kind", "manifest"}, {"id", manifest->id}, {"codec", manifest->codec}};
  json["created"] = manifest->created;
  if (!manifest->expires.empty()) json["expires"] = manifest->expires;
  add_model(json, manifest->model);
  json["tokens"] = manifest->tokens;
  json["chunk_tokens"] = manifest->chunk_tokens;
  json["raw_bytes"] = manifest->raw_bytes;
  json["manifest_bytes"] = text.size();
  json["profile"] = manifest->profile.digest.hex();
  json["profile_bytes"] = manifest->profile.bytes;
  json["text"] = text_of(*manifest);
  if (manifest->floor_level) json["floor_level"] = *manifest->floor_level;
  std::vector<std::string> urls;
  for (const manifests::BaseUrl& base : manifest->base_urls) urls.push_back(base.url);
  json["base_urls"] = urls;
  json["levels"] = levels_of(*manifest);
  json["chunks"] = chunks_of(*manifest);
  return json;
}

Result<ordered_json> inspect_object(std::span<const std::byte> bytes, const std::string& name) {
  const auto object = manifests::read_object(bytes, name);
  if (!object.ok()) return object.error();
  const manifests::ObjectHeader& header = object->header;
  ordered_json json = {{"kind", kind_name(header.kind)}, {"bytes", bytes.size()}};
  json["sha256"] = manifests::sha256(bytes).hex();
  if (header.kind == manifests::ObjectKind::kPlane) json["plane"] = header.plane;
  if (header.token_count > 0) {
    json["tokens"] = {header.token_begin, header.token_begin + header.token_count};
  }
  if (header.dtype != 0) json["dtype"] = dtype_name(header.dtype);
  if (header.layers > 0) {
    json["layers"] = header.layers;
    json["keys"] = shape(header.key_heads, header.key_dim);
    json["values"] = shape(header.value_heads, header.value_dim);
  }
  if (header.kind == manifests::ObjectKind::kPlane) json["profile"] = header.profile.hex();
  ordered_json sections = ordered_json::array();
  for (const manifests::ObjectSection& section : object->sections) {
    sections.push_back({{"kind", section.kind},
                        {"group", section.group},
                        {"side", section.side == 0 ? "keys" : "values"},
                        {"offset", section.bytes.data() - bytes.data()},
                        {"bytes", section.bytes.size()}});
  }
  json["sections"] = std::move(sections);
  return json;
}

Result<ordered_json> inspect_kv_file(const std::string& path) {
  const auto file = manifests::SafetensorsFile::open(path);
  if (!file.ok()) return file.error();
  const auto info = manifests::describe_kv_file(*file);
  if (!info.ok()) return info.error();
  ordered_json json = {{"kind", "kv"}, {"bytes", file->header().file_bytes}};
  add_model(json, info->model);
  json["tokens"] = info->tokens;
  json["token_ids"] = !info->token_ids.empty();
  json["text_bytes"] = info->text.size();
  json["rope"] = info->ropes.empty() ? "none" : info->ropes.front().layout;
  if (!info->ropes.empty()) json["rope_theta"] = info->ropes.front().theta;
  return json;
}

Result<ordered_json> inspect_store(const std::string& root) {
  std::error_code error;
  std::vector<fs::path> tenants = sorted_entries(fs::path(root) / "t");
  if (fs::is_directory(fs::path(root) / "m", error)) {
    tenants = {fs::absolute(root).lexically_normal()};
  }
  ordered_json presentations = ordered_json::array();
  uint64_t objects = 0, object_bytes = 0, prefix_entries = 0;
  for (const fs::path& tenant : tenants) {
    add_presentations(presentations, tenant);
    const auto [files, bytes] = count_files(tenant / "o");
    objects += files;
    object_bytes += bytes;
    prefix_entries += count_files(tenant / "k").first;
  }
  if (presentations.empty()) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: no manifest at t/<tenant>/m/ below it; is this a store?", root)};
  }
  return ordered_json{{"kind", "store"},
                      {"objects", objects},
                      {"object_bytes", object_bytes},
                      {"prefix_entries", prefix_entries},
                      {"presentations", std::move(presentations)}};
}

}  // namespace kvcast::tools
