#include "packager/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "kernels/plane.h"
#include "manifests/file.h"
#include "manifests/kv_file.h"
#include "manifests/layout.h"
#include "manifests/prefix_hash.h"
#include "manifests/safetensors.h"
#include "manifests/text.h"
#include "packager/check/chunk_check.h"
#include "packager/check/findings.h"
#include "packager/check/manifest_check.h"
#include "packager/check/moments_check.h"
#include "packager/check/store_check.h"
#include "packager/encode/object_sections.h"
#include "packager/profile_object.h"

namespace kvcast::packager {
namespace {

namespace fs = std::filesystem;

using manifests::Error;
using manifests::ErrorKind;
using manifests::ObjectHeader;
using manifests::ObjectKind;
using manifests::Result;
using manifests::Status;

kernels::Geometry geometry_of(const ObjectHeader& header) {
  return {header.layers, header.key_heads, header.key_dim, header.value_heads, header.value_dim};
}

// A base decodes alone; other planes need those before them, which only a manifest names.
void verify_plane(const LoadedObject& object, ObjectReader* siblings, VerifyReport& report) {
  const ObjectHeader& header = object.view.header;
  if (!siblings) return;
  const auto bytes = siblings->read({header.profile, 0});
  if (!bytes.ok()) {
    return add_defect(report, object.file,
                      fmt::format("header, byte 64: its profile {} is not there",
                                  siblings->name(header.profile)));
  }
  const auto profile = read_profile_object(*bytes, siblings->name(header.profile));
  if (!profile.ok()) return add_defect(report, object.file, profile.error().message);
  if (profile->geometry != geometry_of(header) || header.plane >= profile->levels) {
    return add_defect(report, object.file,
                      "header, byte 38: its profile has another geometry or fewer planes");
  }
  const kernels::TokenRange tokens{header.token_begin, header.token_count};
  if (!check_sections(object, plane_sections(*profile, tokens, header.plane), report)) return;
  if (header.plane > 0) return;
  const kernels::Codec codec(*profile);
  decode_planes(codec, tokens, static_cast<kernels::DType>(header.dtype), {&object, 1}, report);
}

void verify_exact(const LoadedObject& object, VerifyReport& report) {
  const kernels::Geometry geometry = geometry_of(object.view.header);
  if (check_sections(object, exact_sections(geometry), report)) {
    decode_exact_object(geometry, object, report);
  }
}

}  // namespace

Result<std::vector<std::byte>> FolderObjectReader::read(const manifests::ObjectRef& object) {
  return manifests::read_file(name(object.digest), manifests::kMaxObjectBytes);
}

std::string FolderObjectReader::name(const manifests::Digest& digest) const {
  return (fs::path(root_) / manifests::object_path_in_tenant(digest)).string();
}

void verify_manifest(std::string_view json, const std::string& name, ObjectReader& objects,
                     const VerifyParams& params, VerifyReport& report) {
  ++report.manifests;
  const auto manifest = manifests::read_manifest(json, name);
  if (!manifest.ok()) return add_defect(report, name, manifest.error().message);
  check_prefix_hashes(*manifest, name, check_text(*manifest, objects, report), params, report);
  const auto profile = check_profile(*manifest, name, objects, report);
  if (!profile) return;
  const kernels::Codec codec(*profile);
  const kernels::DType dtype = *kernels::dtype_from_name(manifest->model.dtype);
  const uint64_t raw_bytes = manifest->tokens * profile->geometry.bytes_per_token(dtype);
  if (manifest->raw_bytes != raw_bytes) {
    add_defect(report, name,
               fmt::format("raw_bytes is {}, expected {} for {} tokens", manifest->raw_bytes,
                           raw_bytes, manifest->tokens));
  }
  for (uint32_t chunk = 0; chunk < manifest->chunks.size(); ++chunk) {
    check_chunk(*manifest, chunk, codec, objects, report);
  }
}

void verify_object(std::span<const std::byte> bytes, const std::string& name,
                   ObjectReader* siblings, VerifyReport& report) {
  ++report.objects;
  report.object_bytes += bytes.size();
  LoadedObject object{name, {bytes.begin(), bytes.end()}, {}};
  auto view = manifests::read_object(object.bytes, name);
  if (!view.ok()) return add_defect(report, name, view.error().message);
  object.view = std::move(*view);
  const auto digest = manifests::Digest::from_hex(fs::path(name).stem().string());
  if (digest && manifests::sha256(object.bytes) != *digest) {
    add_defect(report, name, "its SHA-256 is not its name; fetch or pack it again");
  }
  switch (object.view.header.kind) {
    case ObjectKind::kPlane:
      return verify_plane(object, siblings, report);
    case ObjectKind::kExact:
      return verify_exact(object, report);
    case ObjectKind::kProfile: {
      const auto profile = read_profile_object(object.bytes, name);
      if (!profile.ok()) add_defect(report, name, profile.error().message);
      return;
    }
    case ObjectKind::kText: {
      const auto text = manifests::read_text_object(object.bytes, name);
      if (!text.ok()) add_defect(report, name, text.error().message);
      return;
    }
  }
}

void verify_prefix_entry(std::string_view json, const std::string& name, VerifyReport& report) {
  ++report.prefix_entries;
  const auto entry = manifests::read_prefix_entry(json, name);
  if (!entry.ok()) add_defect(report, name, entry.error().message);
}

void verify_kv_file(const std::string& path, VerifyReport& report) {
  const auto file = manifests::SafetensorsFile::open(path);
  const bool is_moments = file.ok() && names_moments(file->header());
  ++(is_moments ? report.moment_files : report.kv_files);
  if (!file.ok()) return add_defect(report, path, file.error().message);
  if (is_moments) {
    const Status good = check_moments(*file);
    if (!good.ok()) add_defect(report, path, good.error().message);
    return;
  }
  const auto info = manifests::describe_kv_file(*file);
  if (!info.ok()) add_defect(report, path, info.error().message);
}

Status verify_store(const std::string& root, const VerifyParams& params, VerifyReport& report) {
  std::vector<std::string> tenants;
  std::error_code error;
  if (fs::is_directory(fs::path(root) / "m", error)) {
    tenants.push_back(root);
  } else {
    for (fs::directory_iterator it(fs::path(root) / "t", error), end; !error && it != end;
         it.increment(error)) {
      tenants.push_back(it->path().string());
    }
    std::sort(tenants.begin(), tenants.end());
  }
  for (const std::string& tenant : tenants) {
    if (Status checked = check_tenant(tenant, params, report); !checked.ok()) return checked;
  }
  if (report.manifests > 0 || !report.defects.empty()) return {};
  return Error{ErrorKind::kCorrupt,
               fmt::format("{}: no manifest at t/<tenant>/m/ below it; is this a store?", root)};
}

}  // namespace kvcast::packager
