#include "packager/side_information.h"

#include <map>
#include <utility>
#include <vector>

#include "kernels/payload.h"
#include "kernels/section.h"
#include "manifests/file.h"
#include "manifests/layout.h"
#include "manifests/object.h"

namespace kvcast::packager {
namespace {

using kernels::SectionKind;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

using Planes = std::vector<std::span<const std::byte>>;  // of one section, base first

// Adds one chunk's bytes.
Status add_chunk(const std::string& tenant_root, const manifests::ChunkEntry& chunk,
                 const kernels::Profile& profile, SideInformation& sums) {
  std::vector<std::vector<std::byte>> objects;
  std::map<std::pair<uint32_t, Side>, Planes> sections;
  for (const manifests::PlaneRef& plane : chunk.planes) {
    const std::string path = tenant_root + "/" + manifests::object_path_in_tenant(plane.digest);
    auto bytes = manifests::read_file(path, plane.bytes);
    if (!bytes.ok()) return bytes.error();
    objects.push_back(std::move(*bytes));
    sums.stored_bytes += objects.back().size();
    const auto view = manifests::read_object(objects.back(), path);
    if (!view.ok()) return view.error();
    for (const manifests::ObjectSection& section : view->sections) {
      const auto kind = static_cast<SectionKind>(section.kind);
      if (kind != SectionKind::kBase && kind != SectionKind::kRefinement) continue;
      sections[{section.group, static_cast<Side>(section.side)}].push_back(section.bytes);
    }
  }
  const kernels::TokenRange tokens{chunk.token_begin,
                                   static_cast<uint32_t>(chunk.token_end - chunk.token_begin)};
  for (const auto& [id, planes] : sections) {
    const auto payload = kernels::payload_bytes(profile, id.first, id.second, tokens, planes);
    if (!payload) return Error{ErrorKind::kCorrupt, payload.fault().what};
    sums.payload_bytes += *payload;
  }
  return {};
}

}  // namespace

Result<SideInformation> side_information(const std::string& tenant_root,
                                         const manifests::Manifest& manifest,
                                         const kernels::Profile& profile) {
  SideInformation sums;
  for (const manifests::ChunkEntry& chunk : manifest.chunks) {
    if (Status added = add_chunk(tenant_root, chunk, profile, sums); !added.ok()) {
      return added.error();
    }
  }
  return sums;
}

}  // namespace kvcast::packager
