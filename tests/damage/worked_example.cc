#include "tests/damage/worked_example.h"

#include <initializer_list>
#include <optional>
#include <stdexcept>

#include "kernels/dtype.h"
#include "kernels/plane.h"
#include "manifests/object.h"
#include "packager/profile_object.h"

namespace kvcast::damage {
namespace {

using kernels::Side;
using manifests::ObjectHeader;
using manifests::ObjectKind;
using manifests::ObjectSection;

constexpr kernels::TokenRange kTokens{0, 3};

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

kernels::Profile profile() {
  kernels::Profile profile;
  profile.geometry = {1, 1, 2, 1, 3};
  profile.groups = {{0, 1}};
  profile.levels = 2;
  profile.sink_tokens = 1;
  profile.layer_rope = {kernels::kNoRope};
  for (const uint32_t width : {2u, 3u}) {
    kernels::SectionCodec codec;
    codec.drop_bits = {1, 0};
    codec.mean.assign(width, 0);
    codec.scale.assign(width, 1);
    for (uint32_t c = 0; c < width; ++c) codec.order.push_back(c);
    profile.sections.push_back(codec);
  }
  kernels::ScaleClass scale_class;
  scale_class.base.frequency = {256, 3583, 256, 1};
  scale_class.passes = {{{{{2048, 1024, 1024}}, {{2048, 2048}}, {{4096, 0}}}}};
  scale_class.reconstruction = {{0.25f, 0.5f}, {0.25f, 0.5f}};
  profile.classes = {scale_class};
  return profile;
}

struct Keys {
  std::vector<Bytes> planes;
  Bytes sinks;
};

Keys encode_keys(const kernels::Profile& profile) {
  const Bytes zeros(12);
  const std::vector<kernels::TensorView> views = {{zeros.data(), 4}};
  const kernels::Codec codec(profile);
  auto encoded =
      kernels::encode_section(codec, 0, Side::kKey, kTokens, kernels::DType::kBf16, views);
  if (!encoded.ok()) throw std::runtime_error(encoded.fault().what);
  return {encoded->planes,
          kernels::encode_sinks(profile, 0, Side::kKey, kTokens, kernels::DType::kBf16, views)};
}

class Store {
 public:
  Store(const Bytes& base, const Bytes& refinement, const Bytes& sinks) {
    const kernels::Profile profile = damage::profile();
    const Keys keys = encode_keys(profile);
    manifest_.id = "worked-example";
    manifest_.created = "2026-01-31T12:00:00Z";
    manifests::ModelIdentity& model = manifest_.model;
    model.name = "example";
    model.weights = "weights";
    model.layers = model.key_heads = model.value_heads = 1;
    model.key_dim = 2;
    model.value_dim = 3;
    model.dtype = "BF16";
    manifest_.codec = manifests::codec_string(manifest_.model);
    manifest_.tokens = kTokens.count;
    manifest_.chunk_tokens = 16;
    manifest_.levels = 2;
    manifest_.raw_bytes = uint64_t{kTokens.count} * 10;
    manifest_.base_urls = {{"../", 1, 1}};
    manifest_.profile = keep(packager::write_profile_object(profile));
    manifest_.chunks.resize(1);
    manifest_.chunks[0].token_end = kTokens.count;
    add_plane(
        0, {{1, 0, 0, keys.planes[0]}, {3, 0, 0, keys.sinks}, {1, 0, 1, base}, {3, 0, 1, sinks}});
    add_plane(1, {{2, 0, 0, keys.planes[1]}, {2, 0, 1, refinement}});
    const std::string json = manifests::write_manifest(manifest_);
    const auto text = std::as_bytes(std::span(json));
    files_["m/worked-example.json"] = {text.begin(), text.end()};
  }

  packager::VerifyReport verify() const { return damage::verify(files_, "m/worked-example.json"); }

 private:
  manifests::ObjectRef keep(Bytes bytes) {
    const manifests::ObjectRef ref{manifests::sha256(bytes), bytes.size()};
    files_[MemoryObjects(files_).name(ref.digest)] = std::move(bytes);
    return ref;
  }

  void add_plane(uint8_t plane, const std::vector<ObjectSection>& sections) {
    ObjectHeader header;
    header.plane = plane;
    header.token_count = kTokens.count;
    header.dtype = 2;
    header.layers = header.key_heads = header.value_heads = 1;
    header.key_dim = 2;
    header.value_dim = 3;
    header.profile = manifest_.profile.digest;
    manifests::PlaneRef ref;
    static_cast<manifests::ObjectRef&>(ref) = keep(manifests::write_object(header, sections));
    manifest_.chunks[0].planes.push_back(ref);
  }

  manifests::Manifest manifest_;
  std::map<std::string, Bytes> files_;
};

uint32_t take_u32(const Bytes& bytes, size_t& at, size_t size) {
  if (size > bytes.size() - at) throw std::runtime_error("a framed profile ends early");
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= std::to_integer<uint32_t>(bytes[at + i]) << 8 * i;
  at += size;
  return value;
}

}  // namespace

Bytes example_base() {
  return bytes_of({1,    0, 0, 0, 1, 0,    0,    0,    1,    0,    0,    0,    2,
                   0,    0, 0, 0, 0, 0,    0,    14,   0,    0,    0,    1,    0,
                   0,    0, 1, 0, 0, 0,    0x27, 0x4F, 0x01, 0x00, 0x12, 0x58, 0x12,
                   0x00, 0, 0, 1, 0, 0x00, 0x0C, 0,    0,    0x0A, 0x00});
}

Bytes example_refinement() {
  return bytes_of({1, 0, 0,    0,    0,    0,    0,    0,    12,   0,    0,    0,    1,    0,
                   0, 0, 0x00, 0x10, 0x08, 0x00, 0x00, 0x08, 0x04, 0x00, 0x00, 0x08, 0x02, 0x00});
}

Bytes example_sinks() {
  return bytes_of({0x10, 0x41, 0x00, 0x41, 0xE0, 0x40});
}

packager::VerifyReport verify_plane_section(const std::string& name, const Bytes& section) {
  const bool base = name.starts_with("bad_base"), sinks = name.starts_with("bad_sinks");
  return Store(base ? section : example_base(), base || sinks ? example_refinement() : section,
               sinks ? section : example_sinks())
      .verify();
}

Bytes profile_object_of(const Bytes& framed) {
  std::vector<Bytes> contents;
  std::vector<ObjectSection> sections;
  for (size_t at = 0; at < framed.size();) {
    ObjectSection section;
    section.kind = static_cast<uint16_t>(take_u32(framed, at, 2));
    section.group = static_cast<uint16_t>(take_u32(framed, at, 2));
    section.side = static_cast<uint8_t>(take_u32(framed, at, 4));
    const uint32_t size = take_u32(framed, at, 4);
    if (size > framed.size() - at) throw std::runtime_error("a framed profile ends early");
    section.bytes = std::span(framed).subspan(at, size);
    at += size;
    sections.push_back(section);
  }
  ObjectHeader header;
  header.kind = ObjectKind::kProfile;
  return manifests::write_object(header, sections);
}

Bytes exact_object_of(const Bytes& section) {
  ObjectHeader header;
  header.kind = ObjectKind::kExact;
  header.token_count = 2;
  header.dtype = 2;
  header.layers = header.key_heads = 1;
  header.key_dim = 2;
  const std::vector<ObjectSection> sections = {{4, 0, 0, section}};
  return manifests::write_object(header, sections);
}

}  // namespace kvcast::damage
