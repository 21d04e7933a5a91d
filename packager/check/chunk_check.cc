#include "packager/check/chunk_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/exact.h"
#include "packager/encode/object_sections.h"

namespace kvcast::packager {
namespace {

using kernels::DType;
using kernels::SectionKind;
using kernels::Side;
using kernels::TokenRange;

using SectionBytes = std::span<const std::byte>;

// Room for the layers of one section to be decoded into.
class Scratch {
 public:
  Scratch(const kernels::Geometry& geometry, Side side, uint32_t layers, uint32_t tokens,
          DType dtype) {
    const size_t token_bytes = geometry.channels(side) * kernels::dtype_bytes(dtype);
    bytes_.resize(layers * tokens * token_bytes);
    for (size_t layer = 0; layer < layers; ++layer) {
      views_.push_back({bytes_.data() + layer * tokens * token_bytes, token_bytes});
    }
  }
  std::span<const kernels::MutableTensorView> views() const { return views_; }

 private:
  std::vector<std::byte> bytes_;
  std::vector<kernels::MutableTensorView> views_;
};

// plane_format.md and exact_format.md, "Limits": a small file must not ask for much memory.
constexpr uint64_t kMaxSectionElements = uint64_t{1} << 31;

bool fits(const kernels::Geometry& geometry, uint32_t layers, uint32_t tokens,
          const LoadedObject& object, VerifyReport& report) {
  const auto elements = [&](uint64_t heads, uint64_t dim) { return heads * dim * layers * tokens; };
  if (std::max(elements(geometry.key_heads, geometry.key_dim),
               elements(geometry.value_heads, geometry.value_dim)) <= kMaxSectionElements) {
    return true;
  }
  add_defect(
      report, object.file,
      fmt::format("header, byte 32: {} tokens of this geometry make sections of more than {} "
                  "elements",
                  tokens, kMaxSectionElements));
  return false;
}

void add_fault(const LoadedObject& object, size_t section, const kernels::Fault& fault,
               VerifyReport& report) {
  add_defect(report, object.file,
             fmt::format("{}: {} (offset {} of the section)", section_place(object, section),
                         fault.what, fault.offset));
}

// Their size follows from the profile; a fault of the decoder would be the base's.
bool check_sinks(const kernels::Codec& codec, uint32_t group, Side side, TokenRange tokens,
                 DType dtype, const LoadedObject& base, size_t index, VerifyReport& report) {
  const kernels::Profile& profile = codec.profile();
  const size_t expected = size_t{profile.sinks_in(tokens)} * profile.section_width(group, side) *
                          kernels::dtype_bytes(dtype);
  const size_t found = base.view.sections[index].bytes.size();
  if (found == expected) return true;
  add_defect(report, base.file,
             fmt::format("{}: {} bytes of sink tokens, expected {}", section_place(base, index),
                         found, expected));
  return false;
}

// Which plane is at fault: the first that cannot be decoded with those before it.
size_t first_bad_plane(const kernels::Codec& codec, uint32_t group, Side side, TokenRange tokens,
                       DType dtype, std::span<const SectionBytes> planes, SectionBytes sinks,
                       const Scratch& scratch) {
  size_t plane = 0;
  while (plane + 1 < planes.size() &&
         kernels::decode_section(codec, group, side, tokens, dtype, planes.first(plane + 1), sinks,
                                 scratch.views())
             .ok()) {
    ++plane;
  }
  return plane;
}

std::optional<LoadedObject> load_checked(ObjectReader& objects, const manifests::ObjectRef& ref,
                                         const std::string& role,
                                         const manifests::ObjectHeader& header,
                                         const std::vector<kernels::SectionId>& sections,
                                         VerifyReport& report) {
  auto object = load_object(objects, ref, role, report);
  if (!object || !check_header(*object, header, report) ||
      !check_sections(*object, sections, report)) {
    return std::nullopt;
  }
  return object;
}

}  // namespace

void decode_planes(const kernels::Codec& codec, TokenRange tokens, DType dtype,
                   std::span<const LoadedObject> planes, VerifyReport& report) {
  const kernels::Profile& profile = codec.profile();
  const bool with_sinks = profile.sinks_in(tokens) > 0;
  size_t index = 0, base_index = 0;  // in the list of a refinement, and of the base
  for (uint32_t group = 0; group < profile.groups.size(); ++group) {
    const uint32_t layers = profile.groups[group].layers;
    if (!fits(profile.geometry, layers, tokens.count, planes[0], report)) return;
    for (const Side side : sides_of(profile.geometry)) {
      std::vector<SectionBytes> sections{planes[0].view.sections[base_index].bytes};
      for (const LoadedObject& plane : planes.subspan(1)) {
        sections.push_back(plane.view.sections[index].bytes);
      }
      const SectionBytes sinks =
          with_sinks ? planes[0].view.sections[base_index + 1].bytes : SectionBytes{};
      if (with_sinks &&
          !check_sinks(codec, group, side, tokens, dtype, planes[0], base_index + 1, report)) {
        return;
      }
      const Scratch scratch(profile.geometry, side, layers, tokens.count, dtype);
      const kernels::Check decoded = kernels::decode_section(codec, group, side, tokens, dtype,
                                                             sections, sinks, scratch.views());
      report.sections_decoded += sections.size();
      if (!decoded.ok()) {
        const size_t bad =
            first_bad_plane(codec, group, side, tokens, dtype, sections, sinks, scratch);
        add_fault(planes[bad], bad == 0 ? base_index : index, decoded.fault(), report);
      }
      ++index;
      base_index += with_sinks ? 2 : 1;
    }
  }
}

void decode_exact_object(const kernels::Geometry& geometry, const LoadedObject& object,
                         VerifyReport& report) {
  const auto dtype = static_cast<DType>(object.view.header.dtype);
  const uint32_t tokens = object.view.header.token_count;
  if (!fits(geometry, 1, tokens, object, report)) return;
  for (size_t i = 0; i < object.view.sections.size(); ++i) {
    const manifests::ObjectSection& section = object.view.sections[i];
    const auto side = static_cast<Side>(section.side);
    const Scratch scratch(geometry, side, 1, tokens, dtype);
    const kernels::Check decoded = kernels::decode_exact(dtype, tokens, geometry.channels(side),
                                                         section.bytes, scratch.views()[0]);
    ++report.sections_decoded;
    if (!decoded.ok()) add_fault(object, i, decoded.fault(), report);
  }
}

void check_chunk(const manifests::Manifest& manifest, uint32_t chunk, const kernels::Codec& codec,
                 ObjectReader& objects, VerifyReport& report) {
  const manifests::ChunkEntry& entry = manifest.chunks[chunk];
  const kernels::Profile& profile = codec.profile();
  const TokenRange tokens{entry.token_begin,
                          static_cast<uint32_t>(entry.token_end - entry.token_begin)};
  const DType dtype = *kernels::dtype_from_name(manifest.model.dtype);  // judged by the reader
  std::vector<LoadedObject> planes;
  bool complete = true;
  for (uint32_t plane = 0; plane < entry.planes.size(); ++plane) {
    auto object =
        load_checked(objects, entry.planes[plane], fmt::format("chunk {} plane {}", chunk, plane),
                     plane_header(profile.geometry, dtype, tokens, plane, manifest.profile.digest),
                     plane_sections(profile, tokens, plane), report);
    complete = complete && object;
    if (complete) planes.push_back(std::move(*object));
  }
  if (!planes.empty()) decode_planes(codec, tokens, dtype, planes, report);
  planes.clear();
  if (!entry.exact) return;
  const auto exact = load_checked(objects, *entry.exact, fmt::format("chunk {} exact", chunk),
                                  exact_header(profile.geometry, dtype, tokens),
                                  exact_sections(profile.geometry), report);
  if (exact) decode_exact_object(profile.geometry, *exact, report);
}

}  // namespace kvcast::packager
