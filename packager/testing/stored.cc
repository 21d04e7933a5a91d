#include "packager/testing/stored.h"

#include <map>
#include <stdexcept>
#include <tuple>

#include "kernels/exact.h"
#include "kernels/plane.h"
#include "kernels/section.h"
#include "manifests/file.h"
#include "manifests/layout.h"
#include "manifests/object.h"
#include "packager/profile_object.h"

namespace kvcast::packager {
namespace {

using kernels::SectionKind;
using kernels::Side;

// Sections by (kind, group, side).
using Sections = std::map<std::tuple<SectionKind, uint32_t, Side>, std::span<const std::byte>>;

Sections sections_of(std::span<const std::byte> bytes) {
  const auto view = manifests::read_object(bytes, "object");
  if (!view.ok()) throw std::runtime_error(view.error().message);
  Sections sections;
  for (const auto& section : view->sections) {
    sections[{static_cast<SectionKind>(section.kind), section.group,
              static_cast<Side>(section.side)}] = section.bytes;
  }
  return sections;
}

}  // namespace

Stored::Stored(std::string tenant_root, const manifests::Manifest& manifest)
    : root_(std::move(tenant_root)), manifest_(manifest) {
  dtype_ = kernels::dtype_from_name(manifest.model.dtype).value();
  auto profile = read_profile_object(load(manifest.profile), "profile");
  if (!profile.ok()) throw std::runtime_error(profile.error().message);
  profile_ = std::move(*profile);
}

std::vector<std::byte> Stored::load(const manifests::ObjectRef& object) const {
  auto bytes =
      manifests::read_file(root_ + "/" + manifests::object_path_in_tenant(object.digest), 1u << 30);
  if (!bytes.ok()) throw std::runtime_error(bytes.error().message);
  if (bytes->size() != object.bytes || manifests::sha256(*bytes) != object.digest) {
    throw std::runtime_error("object is not what the manifest names");
  }
  return std::move(*bytes);
}

std::vector<std::vector<std::byte>> Stored::decode(uint32_t chunk, uint32_t level) const {
  const auto& entry = manifest_.chunks[chunk];
  const auto count = static_cast<uint32_t>(entry.token_end - entry.token_begin);
  const kernels::TokenRange tokens{entry.token_begin, count};
  std::vector<std::vector<std::byte>> objects;
  std::vector<Sections> planes;
  for (uint32_t plane = 0; plane <= level; ++plane) objects.push_back(load(entry.planes[plane]));
  for (const auto& object : objects) planes.push_back(sections_of(object));
  const kernels::Codec codec(profile_);
  std::vector<std::vector<std::byte>> tensors(2 * profile_.geometry.layers);
  for (uint32_t group = 0; group < profile_.groups.size(); ++group) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      if (profile_.geometry.channels(side) == 0) continue;
      const size_t token_bytes = profile_.geometry.channels(side) * kernels::dtype_bytes(dtype_);
      std::vector<kernels::MutableTensorView> views;
      for (uint32_t i = 0; i < profile_.groups[group].layers; ++i) {
        auto& tensor =
            tensors[2 * (profile_.groups[group].first_layer + i) + static_cast<uint32_t>(side)];
        tensor.resize(count * token_bytes);
        views.push_back({tensor.data(), token_bytes});
      }
      std::vector<std::span<const std::byte>> bytes;
      for (uint32_t plane = 0; plane <= level; ++plane) {
        bytes.push_back(planes[plane].at(
            {plane == 0 ? SectionKind::kBase : SectionKind::kRefinement, group, side}));
      }
      const auto sinks = planes[0].find({SectionKind::kSinks, group, side});
      const auto check = kernels::decode_section(
          codec, group, side, tokens, dtype_, bytes,
          sinks == planes[0].end() ? std::span<const std::byte>{} : sinks->second, views);
      if (!check.ok()) throw std::runtime_error(check.fault().what);
    }
  }
  return tensors;
}

std::vector<std::vector<std::byte>> Stored::decode_exact(uint32_t chunk) const {
  const auto& entry = manifest_.chunks[chunk];
  const auto count = static_cast<uint32_t>(entry.token_end - entry.token_begin);
  const auto object = load(*entry.exact);
  std::vector<std::vector<std::byte>> tensors(2 * profile_.geometry.layers);
  for (const auto& [id, bytes] : sections_of(object)) {
    const auto [kind, layer, side] = id;
    const uint32_t channels = profile_.geometry.channels(side);
    const size_t token_bytes = channels * kernels::dtype_bytes(dtype_);
    auto& tensor = tensors[2 * layer + static_cast<uint32_t>(side)];
    tensor.resize(count * token_bytes);
    const auto check =
        kernels::decode_exact(dtype_, count, channels, bytes, {tensor.data(), token_bytes});
    if (!check.ok()) throw std::runtime_error(check.fault().what);
  }
  return tensors;
}

}  // namespace kvcast::packager
