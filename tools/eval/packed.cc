// What `kvcast pack` writes, read back the way a player does.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>

#include "kernels/exact.h"
#include "kernels/plane.h"
#include "kernels/section.h"
#include "manifests/file.h"
#include "manifests/layout.h"
#include "manifests/object.h"
#include "packager/packager.h"
#include "packager/profile_object.h"
#include "tools/engine/saved_cache.h"
#include "tools/eval/scheme.h"

namespace kvcast::eval {
namespace {

using kernels::DType;
using kernels::SectionKind;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr Side kSides[] = {Side::kKey, Side::kValue};
constexpr uint64_t kMostObjectBytes = uint64_t{1} << 34;

// An object's bytes and its sections by (kind, group, side).
struct LoadedObject {
  std::vector<std::byte> bytes;
  std::map<std::tuple<SectionKind, uint32_t, Side>, std::span<const std::byte>> sections;
};

class PackedScheme final : public Scheme {
 public:
  PackedScheme(const engine::Model& model, PackedParams params)
      : model_(model), params_(std::move(params)) {}

  Status run(const Reference& reference, const Emit& emit) override {
    const std::string input = params_.folder + "/context.safetensors";
    const auto saved =
        engine::save_cache(input, model_, reference.cache, reference.tokens, "", DType::kBf16);
    if (!saved.ok()) return saved.error();
    packager::PackParams pack;
    pack.input = input;
    pack.out = params_.folder + "/store";
    pack.profile = params_.profile;
    pack.chunk_tokens = params_.chunk_tokens;
    pack.include_text = false;
    pack.exact = params_.exact;
    pack.threads = params_.threads;
    const auto packed = packager::pack(pack);
    if (!packed.ok()) return packed.error();
    Status measured = measure(*packed, reference, emit);
    std::error_code ignored;  // scratch: what stays is removed with the folder
    std::filesystem::remove_all(pack.out, ignored);
    return measured;
  }

 private:
  Status measure(const packager::PackReport& packed, const Reference& reference, const Emit& emit) {
    auto profile_bytes = load(packed.manifest.profile);
    if (!profile_bytes.ok()) return profile_bytes.error();
    const auto profile = packager::read_profile_object(*profile_bytes, "profile");
    if (!profile.ok()) return profile.error();
    const kernels::Codec codec(*profile);
    std::error_code failed;
    const uint64_t manifest_bytes = std::filesystem::file_size(packed.manifest_path, failed);
    if (failed) return Error{ErrorKind::kIo, packed.manifest_path + ": " + failed.message()};
    const bool own_profile = params_.profile.empty();
    const uint64_t beside = manifest_bytes + (own_profile ? packed.profile_bytes : 0);
    const uint32_t raised = params_.raise_last_chunk;
    for (uint32_t level = 0; level < profile->levels; ++level) {
      const uint32_t last_level = std::min(level + raised, profile->levels - 1);
      engine::KvCache candidate = reference.cache;
      Point point{"kvcast:" + params_.name,
                  raised > 0 ? fmt::format("level {}, {} at the end", level, last_level)
                             : fmt::format("level {}", level),
                  beside, own_profile ? 0 : packed.profile_bytes};
      for (const manifests::ChunkEntry& chunk : packed.manifest.chunks) {
        const bool is_last = &chunk == &packed.manifest.chunks.back();
        const uint32_t chunk_level = is_last ? last_level : level;
        if (Status decoded = decode(codec, chunk, chunk_level, candidate); !decoded.ok()) {
          return decoded;
        }
        for (uint32_t plane = 0; plane <= chunk_level; ++plane) {
          point.bytes += chunk.planes[plane].bytes;
        }
      }
      if (Status emitted = emit({&point, 1}, candidate); !emitted.ok()) return emitted;
    }
    if (!params_.exact) return {};
    engine::KvCache candidate = reference.cache;
    for (const manifests::ChunkEntry& chunk : packed.manifest.chunks) {
      if (Status decoded = decode_exact(chunk, candidate); !decoded.ok()) return decoded;
    }
    const Point point{"exact", "exact", packed.exact_bytes + manifest_bytes, 0};
    return emit({&point, 1}, candidate);
  }

  Result<std::vector<std::byte>> load(const manifests::ObjectRef& object) const {
    return manifests::read_file(params_.folder + "/store/t/" +
                                    std::string(manifests::kDefaultTenant) + "/" +
                                    manifests::object_path_in_tenant(object.digest),
                                kMostObjectBytes);
  }

  Result<LoadedObject> load_sections(const manifests::ObjectRef& ref) const {
    auto bytes = load(ref);
    if (!bytes.ok()) return bytes.error();
    LoadedObject object{std::move(*bytes), {}};
    const auto view = manifests::read_object(object.bytes, "object");
    if (!view.ok()) return view.error();
    for (const manifests::ObjectSection& section : view->sections) {
      object.sections[{static_cast<SectionKind>(section.kind), section.group,
                       static_cast<Side>(section.side)}] = section.bytes;
    }
    return object;
  }

  Status decode(const kernels::Codec& codec, const manifests::ChunkEntry& chunk, uint32_t level,
                engine::KvCache& to) const {
    std::vector<LoadedObject> planes;
    for (uint32_t plane = 0; plane <= level; ++plane) {
      auto object = load_sections(chunk.planes[plane]);
      if (!object.ok()) return object.error();
      planes.push_back(std::move(*object));
    }
    const kernels::TokenRange tokens{chunk.token_begin,
                                     static_cast<uint32_t>(chunk.token_end - chunk.token_begin)};
    const kernels::Profile& profile = codec.profile();
    for (uint32_t group = 0; group < profile.groups.size(); ++group) {
      for (const Side side : kSides) {
        std::vector<std::span<const std::byte>> bytes;
        for (const LoadedObject& plane : planes) {
          const auto kind = bytes.empty() ? SectionKind::kBase : SectionKind::kRefinement;
          bytes.push_back(plane.sections.at({kind, group, side}));
        }
        const auto sinks = planes[0].sections.find({SectionKind::kSinks, group, side});
        const auto sink_bytes =
            sinks == planes[0].sections.end() ? std::span<const std::byte>{} : sinks->second;
        if (Status decoded = decode_section(codec, group, side, tokens, bytes, sink_bytes, to);
            !decoded.ok()) {
          return decoded;
        }
      }
    }
    return {};
  }

  Status decode_exact(const manifests::ChunkEntry& chunk, engine::KvCache& to) const {
    const auto object = load_sections(*chunk.exact);
    if (!object.ok()) return object.error();
    const auto count = static_cast<uint32_t>(chunk.token_end - chunk.token_begin);
    const size_t row_bytes = size_t{to.channels()} * 2;
    std::vector<std::byte> values(count * row_bytes);
    for (const auto& [id, bytes] : object->sections) {
      const auto [kind, layer, side] = id;
      const auto decoded = kernels::decode_exact(DType::kBf16, count, to.channels(), bytes,
                                                 {values.data(), row_bytes});
      if (!decoded) return Error{ErrorKind::kCorrupt, decoded.fault().what};
      Status imported =
          to.import_tokens(layer, side, DType::kBf16, chunk.token_begin, count, values);
      if (!imported.ok()) return imported;
    }
    return {};
  }

  // By way of bf16, the type of the cache that was packed.
  static Status decode_section(const kernels::Codec& codec, uint32_t group, Side side,
                               kernels::TokenRange tokens,
                               std::span<const std::span<const std::byte>> planes,
                               std::span<const std::byte> sinks, engine::KvCache& to) {
    const kernels::LayerGroup& layers = codec.profile().groups[group];
    const size_t row_bytes = size_t{to.channels()} * 2;
    std::vector<std::vector<std::byte>> values(layers.layers);
    std::vector<kernels::MutableTensorView> views;
    for (std::vector<std::byte>& layer : values) {
      layer.resize(tokens.count * row_bytes);
      views.push_back({layer.data(), row_bytes});
    }
    const auto decoded =
        kernels::decode_section(codec, group, side, tokens, DType::kBf16, planes, sinks, views);
    if (!decoded) return Error{ErrorKind::kCorrupt, decoded.fault().what};
    for (uint32_t i = 0; i < layers.layers; ++i) {
      Status imported = to.import_tokens(layers.first_layer + i, side, DType::kBf16, tokens.begin,
                                         tokens.count, values[i]);
      if (!imported.ok()) return imported;
    }
    return {};
  }

  const engine::Model& model_;
  const PackedParams params_;
};

}  // namespace

std::unique_ptr<Scheme> packed_scheme(const engine::Model& model, PackedParams params) {
  return std::make_unique<PackedScheme>(model, std::move(params));
}

}  // namespace kvcast::eval
