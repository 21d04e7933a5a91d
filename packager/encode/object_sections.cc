#include "packager/encode/object_sections.h"

namespace kvcast::packager {

using kernels::SectionId;
using kernels::SectionKind;
using kernels::Side;
using manifests::ObjectHeader;
using manifests::ObjectKind;

std::vector<Side> sides_of(const kernels::Geometry& geometry) {
  std::vector<Side> sides;
  for (const Side side : {Side::kKey, Side::kValue}) {
    if (geometry.channels(side) > 0) sides.push_back(side);
  }
  return sides;
}

std::vector<SectionId> plane_sections(const kernels::Profile& profile, kernels::TokenRange tokens,
                                      uint32_t plane) {
  const SectionKind kind = plane == 0 ? SectionKind::kBase : SectionKind::kRefinement;
  const bool with_sinks = plane == 0 && profile.sinks_in(tokens) > 0;
  std::vector<SectionId> sections;
  for (size_t group = 0; group < profile.groups.size(); ++group) {
    for (const Side side : sides_of(profile.geometry)) {
      sections.push_back({kind, static_cast<uint16_t>(group), side});
      if (with_sinks) sections.push_back({SectionKind::kSinks, static_cast<uint16_t>(group), side});
    }
  }
  return sections;
}

std::vector<SectionId> exact_sections(const kernels::Geometry& geometry) {
  std::vector<SectionId> sections;
  for (uint32_t layer = 0; layer < geometry.layers; ++layer) {
    for (const Side side : sides_of(geometry)) {
      sections.push_back({SectionKind::kExact, static_cast<uint16_t>(layer), side});
    }
  }
  return sections;
}

ObjectHeader exact_header(const kernels::Geometry& geometry, kernels::DType dtype,
                          kernels::TokenRange tokens) {
  ObjectHeader header;
  header.kind = ObjectKind::kExact;
  header.token_begin = tokens.begin;
  header.token_count = tokens.count;
  header.dtype = static_cast<uint8_t>(dtype);
  header.layers = static_cast<uint16_t>(geometry.layers);
  header.key_heads = static_cast<uint16_t>(geometry.key_heads);
  header.key_dim = static_cast<uint16_t>(geometry.key_dim);
  header.value_heads = static_cast<uint16_t>(geometry.value_heads);
  header.value_dim = static_cast<uint16_t>(geometry.value_dim);
  return header;
}

ObjectHeader plane_header(const kernels::Geometry& geometry, kernels::DType dtype,
                          kernels::TokenRange tokens, uint32_t plane,
                          const manifests::Digest& profile) {
  ObjectHeader header = exact_header(geometry, dtype, tokens);
  header.kind = ObjectKind::kPlane;
  header.plane = static_cast<uint8_t>(plane);
  header.profile = profile;
  return header;
}

}  // namespace kvcast::packager
