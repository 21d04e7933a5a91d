#include "packager/profile_object.h"

#include <fmt/format.h>

#include "kernels/profile_format.h"
#include "manifests/object.h"

namespace kvcast::packager {

using manifests::Error;
using manifests::ErrorKind;
using manifests::ObjectHeader;
using manifests::ObjectKind;
using manifests::Result;

std::vector<std::byte> write_profile_object(const kernels::Profile& profile) {
  const kernels::Geometry& geometry = profile.geometry;
  ObjectHeader header;
  header.kind = ObjectKind::kProfile;
  header.layers = static_cast<uint16_t>(geometry.layers);
  header.key_heads = static_cast<uint16_t>(geometry.key_heads);
  header.key_dim = static_cast<uint16_t>(geometry.key_dim);
  header.value_heads = static_cast<uint16_t>(geometry.value_heads);
  header.value_dim = static_cast<uint16_t>(geometry.value_dim);
  const auto written = kernels::write_profile(profile);
  std::vector<manifests::ObjectSection> sections;
  for (const kernels::Section& section : written) {
    sections.push_back({static_cast<uint16_t>(section.id.kind), section.id.group,
                        static_cast<uint8_t>(section.id.side), section.bytes});
  }
  return manifests::write_object(header, sections);
}

Result<kernels::Profile> read_profile_object(std::span<const std::byte> bytes,
                                             std::string_view name) {
  const auto object = manifests::read_object(bytes, name);
  if (!object.ok()) return object.error();
  const ObjectHeader& header = object->header;
  if (header.kind != ObjectKind::kProfile) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: an object of kind {}, not a profile", name,
                                                  static_cast<int>(header.kind))};
  }
  std::vector<kernels::SectionView> views;
  for (const manifests::ObjectSection& section : object->sections) {
    views.push_back({{static_cast<kernels::SectionKind>(section.kind), section.group,
                      static_cast<kernels::Side>(section.side)},
                     section.bytes});
  }
  auto profile = kernels::read_profile(views);
  if (!profile.ok()) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: {} (offset {} of its section)", name,
                                                  profile.fault().what, profile.fault().offset)};
  }
  const kernels::Geometry& geometry = profile->geometry;
  const kernels::Geometry stated{header.layers, header.key_heads, header.key_dim,
                                 header.value_heads, header.value_dim};
  if (geometry != stated) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: the header's geometry is not that of the profile inside", name)};
  }
  return std::move(*profile);
}

}  // namespace kvcast::packager
