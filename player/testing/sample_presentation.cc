#include "player/testing/sample_presentation.h"

#include <cmath>
#include <random>
#include <stdexcept>

#include "kernels/exact.h"
#include "kernels/first_chunk.h"
#include "kernels/plane.h"
#include "kernels/profile_format.h"
#include "kernels/rope.h"
#include "manifests/layout.h"
#include "manifests/object.h"

namespace kvcast::player {
namespace {

using kernels::Side;
using manifests::ObjectKind;

constexpr char kRoot[] = "http://store.test/";
constexpr uint32_t kRotaryDims = 16;

std::string url_of(const manifests::Digest& digest) {
  return kRoot + manifests::object_path("public", digest);
}

class Packer {
 public:
  explicit Packer(const SampleParams& params) : params_(params) {}

  Sample pack() {
    make_kv();
    make_profile();
    describe();
    const kernels::Codec codec(profile_);
    for (uint32_t c = 0; c < params_.chunks; ++c) add_chunk(codec, c);
    const std::string json = manifests::write_manifest(sample_.manifest);
    const auto* bytes = reinterpret_cast<const std::byte*>(json.data());
    sample_.files[sample_.manifest_url()].assign(bytes, bytes + json.size());
    return std::move(sample_);
  }

 private:
  uint64_t tokens() const { return uint64_t{params_.chunks} * params_.chunk_tokens; }
  Side side_of(size_t tensor) const { return tensor % 2 == 0 ? Side::kKey : Side::kValue; }

  // Smooth over tokens, scaled by channel, with noise.
  void make_kv() {
    std::mt19937 random(params_.seed);
    std::normal_distribution<float> noise;
    for (size_t i = 0; i < 2 * params_.geometry.layers; ++i) {
      const uint32_t channels = params_.geometry.channels(side_of(i));
      std::vector<float> values;
      for (uint64_t t = 0; t < tokens(); ++t) {
        for (uint32_t c = 0; c < channels; ++c) {
          const float wave = std::sin(0.05f * static_cast<float>(t) + static_cast<float>(c));
          values.push_back((1 + 0.1f * static_cast<float>(c)) * (wave + 0.3f * noise(random)));
        }
      }
      auto& bytes =
          sample_.tensors.emplace_back(values.size() * kernels::dtype_bytes(params_.dtype));
      kernels::store_f32(params_.dtype, values, bytes.data());
    }
    for (uint64_t t = 0; t < tokens(); ++t) {
      sample_.tokens.push_back(static_cast<uint32_t>(random() % 1000));
    }
  }

  size_t row_bytes(size_t tensor) const {
    return params_.geometry.channels(side_of(tensor)) * kernels::dtype_bytes(params_.dtype);
  }

  kernels::TensorView view(size_t tensor, uint32_t chunk) const {
    const size_t row = row_bytes(tensor);
    return {sample_.tensors[tensor].data() + uint64_t{chunk} * params_.chunk_tokens * row, row};
  }

  kernels::TokenRange range(uint32_t chunk) const {
    return {uint64_t{chunk} * params_.chunk_tokens, params_.chunk_tokens};
  }

  void make_profile() {
    std::vector<kernels::TensorView> keys, values;
    for (uint32_t layer = 0; layer < params_.geometry.layers; ++layer) {
      keys.push_back(view(2 * layer, 0));
      values.push_back(view(2 * layer + 1, 0));
    }
    kernels::Rope rope;
    rope.inv_freq = kernels::rope_frequencies(10000, kRotaryDims);
    auto profile = kernels::measure_first_chunk(params_.geometry, {rope},
                                                std::vector<uint8_t>(params_.geometry.layers, 0),
                                                range(0), params_.dtype, keys, values, {});
    if (!profile) throw std::runtime_error(profile.fault().what);
    profile_ = std::move(*profile);
    std::vector<manifests::ObjectSection> sections;
    const std::vector<kernels::Section> written = kernels::write_profile(profile_);
    for (const kernels::Section& section : written) {
      sections.push_back({static_cast<uint16_t>(section.id.kind), section.id.group,
                          static_cast<uint8_t>(section.id.side), section.bytes});
    }
    sample_.manifest.profile = store(header(ObjectKind::kProfile), sections);
  }

  manifests::ObjectHeader header(ObjectKind kind) const {
    manifests::ObjectHeader header;
    header.kind = kind;
    header.layers = static_cast<uint16_t>(params_.geometry.layers);
    header.key_heads = static_cast<uint16_t>(params_.geometry.key_heads);
    header.key_dim = static_cast<uint16_t>(params_.geometry.key_dim);
    header.value_heads = static_cast<uint16_t>(params_.geometry.value_heads);
    header.value_dim = static_cast<uint16_t>(params_.geometry.value_dim);
    return header;
  }

  manifests::ObjectRef store(const manifests::ObjectHeader& header,
                             std::span<const manifests::ObjectSection> sections) {
    std::vector<std::byte> bytes = manifests::write_object(header, sections);
    const manifests::ObjectRef ref{manifests::sha256(bytes), bytes.size()};
    sample_.files[url_of(ref.digest)] = std::move(bytes);
    return ref;
  }

  void describe() {
    manifests::Manifest& manifest = sample_.manifest;
    const kernels::Geometry& g = params_.geometry;
    manifest.id = "sample";
    manifest.created = "2026-01-01T00:00:00Z";
    manifest.model = {"sample model",
                      "weights-1",
                      "",
                      "",
                      g.layers,
                      g.key_heads,
                      g.key_dim,
                      g.value_heads,
                      g.value_dim,
                      kernels::dtype_name(params_.dtype),
                      manifests::RopeParams{"half_split", 10000, kRotaryDims},
                      {}};
    manifest.codec = manifests::codec_string(manifest.model);
    manifest.tokens = tokens();
    manifest.chunk_tokens = params_.chunk_tokens;
    manifest.levels = profile_.levels;
    manifest.raw_bytes = tokens() * g.bytes_per_token(params_.dtype);
    manifest.base_urls = {{"../", 1, 1}};
    if (params_.text) manifest.text = manifests::Text{sample_.tokens, "", std::nullopt};
  }

  void add_chunk(const kernels::Codec& codec, uint32_t c) {
    std::vector<std::vector<kernels::Section>> planes(profile_.levels);
    std::vector<double> error(profile_.levels);
    double energy = 0;
    std::vector<kernels::Section> exact;
    for (uint16_t layer = 0; layer < params_.geometry.layers; ++layer) {
      for (const Side side : {Side::kKey, Side::kValue}) {
        const std::vector<kernels::TensorView> views{
            view(2 * size_t{layer} + static_cast<size_t>(side), c)};
        auto coded = kernels::encode_section(codec, layer, side, range(c), params_.dtype, views);
        if (!coded) throw std::runtime_error(coded.fault().what);
        energy += coded->energy;
        for (uint32_t n = 0; n < profile_.levels; ++n) {
          error[n] += coded->squared_error[n];
          std::vector<std::byte>& section = coded->planes[n];
          if (params_.damage) params_.damage(c, n, section);
          const auto kind =
              n == 0 ? kernels::SectionKind::kBase : kernels::SectionKind::kRefinement;
          planes[n].push_back({{kind, layer, side}, std::move(section)});
        }
        if (c == 0) {
          planes[0].push_back(
              {{kernels::SectionKind::kSinks, layer, side},
               kernels::encode_sinks(profile_, layer, side, range(c), params_.dtype, views)});
        }
        exact.push_back({{kernels::SectionKind::kExact, layer, side},
                         kernels::encode_exact(params_.dtype, params_.chunk_tokens,
                                               params_.geometry.channels(side), views[0])});
      }
    }
    manifests::ChunkEntry& entry = sample_.manifest.chunks.emplace_back();
    entry.token_begin = range(c).begin;
    entry.token_end = range(c).begin + range(c).count;
    for (uint32_t n = 0; n < profile_.levels; ++n) {
      manifests::PlaneRef plane;
      static_cast<manifests::ObjectRef&>(plane) = store_chunk(ObjectKind::kPlane, c, n, planes[n]);
      plane.distortion = error[n] / energy;
      entry.planes.push_back(plane);
    }
    entry.exact = store_chunk(ObjectKind::kExact, c, 0, exact);
  }

  manifests::ObjectRef store_chunk(ObjectKind kind, uint32_t c, uint32_t plane,
                                   const std::vector<kernels::Section>& sections) {
    manifests::ObjectHeader chunk = header(kind);
    chunk.plane = static_cast<uint8_t>(plane);
    chunk.token_begin = range(c).begin;
    chunk.token_count = range(c).count;
    chunk.dtype = static_cast<uint8_t>(params_.dtype);
    if (kind == ObjectKind::kPlane) chunk.profile = sample_.manifest.profile.digest;
    std::vector<manifests::ObjectSection> listed;
    for (const kernels::Section& section : sections) {
      listed.push_back({static_cast<uint16_t>(section.id.kind), section.id.group,
                        static_cast<uint8_t>(section.id.side), section.bytes});
    }
    return store(chunk, listed);
  }

  const SampleParams& params_;
  kernels::Profile profile_;
  Sample sample_;
};

}  // namespace

std::string Sample::plane_url(uint32_t chunk, uint32_t plane) const {
  return url_of(manifest.chunks[chunk].planes[plane].digest);
}

std::string Sample::exact_url(uint32_t chunk) const {
  return url_of(manifest.chunks[chunk].exact->digest);
}

size_t Sample::row_bytes(size_t tensor) const {
  return tensors[tensor].size() / manifest.tokens;
}

Sample make_sample(const SampleParams& params) {
  return Packer(params).pack();
}

}  // namespace kvcast::player
