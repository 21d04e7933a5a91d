#include "tools/commands/bench_sections.h"

#include <stdexcept>
#include <utility>

namespace kvcast::tools {
namespace {

using kernels::Side;

void require(const kernels::Check& check) {
  if (!check) throw std::logic_error(check.fault().what);
}

std::vector<BenchSections::Section> encode_all(const kernels::Codec& codec, const ChunkBytes& chunk,
                                               const Sides& sides) {
  std::vector<BenchSections::Section> sections;
  const kernels::Profile& profile = codec.profile();
  for (uint32_t group = 0; group < profile.groups.size(); ++group) {
    for (const Side side : sides) {
      const auto views = chunk.views(profile.groups[group], side);
      auto encoded = kernels::encode_section(codec, group, side, chunk.tokens, chunk.dtype, views,
                                             kernels::ValueChoice::kRateDistortion);
      if (!encoded) throw std::logic_error(encoded.fault().what);
      sections.push_back(
          {group,
           side,
           {std::move(encoded->planes),
            kernels::encode_sinks(profile, group, side, chunk.tokens, chunk.dtype, views)}});
    }
  }
  return sections;
}

std::vector<std::span<const std::byte>> first_planes(const BenchSections::Section& section,
                                                     size_t count) {
  const auto begin = section.encoded.planes.begin();
  return {begin, begin + static_cast<ptrdiff_t>(count)};
}

}  // namespace

ChunkBytes::ChunkBytes(const kernels::Geometry& shape, kernels::TokenRange range,
                       kernels::DType type)
    : geometry(shape), tokens(range), dtype(type) {
  for (uint32_t layer = 0; layer < geometry.layers; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue})
      kv.emplace_back(size_t{tokens.count} * geometry.channels(side) * kernels::dtype_bytes(dtype));
  }
}

std::vector<kernels::TensorView> ChunkBytes::views(const kernels::LayerGroup& layers,
                                                   Side side) const {
  std::vector<kernels::TensorView> views;
  const size_t stride = geometry.channels(side) * kernels::dtype_bytes(dtype);
  for (uint32_t layer = 0; layer < layers.layers; ++layer) {
    const size_t index = 2 * (layers.first_layer + layer) + static_cast<uint32_t>(side);
    views.push_back({kv[index].data(), stride});
  }
  return views;
}

std::vector<kernels::MutableTensorView> ChunkBytes::mutable_views(const kernels::LayerGroup& layers,
                                                                  Side side) {
  std::vector<kernels::MutableTensorView> views;
  const size_t stride = geometry.channels(side) * kernels::dtype_bytes(dtype);
  for (uint32_t layer = 0; layer < layers.layers; ++layer)
    views.push_back({tensor(layers.first_layer + layer, side).data(), stride});
  return views;
}

BenchSections::BenchSections(const kernels::Profile& profile, const ChunkBytes& chunk, Sides sides)
    : profile_(profile),
      chunk_(chunk),
      sides_(std::move(sides)),
      sections_(encode_all(kernels::Codec(profile), chunk, sides_)) {}

BenchSections::BenchSections(const kernels::Profile& profile, const ChunkBytes& chunk,
                             std::vector<Section> sections)
    : profile_(profile),
      chunk_(chunk),
      sides_{Side::kKey, Side::kValue},
      sections_(std::move(sections)) {}

double BenchSections::elements() const {
  double elements = 0;
  for (const Section& section : sections_)
    elements += static_cast<double>(profile_.section_width(section.group, section.side));
  return elements * static_cast<double>(chunk_.tokens.count);
}

double BenchSections::bytes() const {
  return elements() * static_cast<double>(kernels::dtype_bytes(chunk_.dtype));
}

double BenchSections::bits_per_element(uint32_t levels) const {
  size_t bytes = 0;
  for (const Section& section : sections_) {
    for (uint32_t plane = 0; plane < levels; ++plane) bytes += section.encoded.planes[plane].size();
  }
  return 8 * static_cast<double>(bytes) / elements();
}

void BenchSections::encode(const kernels::Codec& codec) const {
  (void)encode_all(codec, chunk_, sides_);
}

void BenchSections::decode_to_coefficients(const kernels::Codec& codec,
                                           CoefficientRows& scratch) const {
  for (const Section& section : sections_) {
    const uint32_t coded = chunk_.tokens.count - profile_.sinks_in(chunk_.tokens);
    const size_t count =
        size_t{coded} * profile_.section(section.group, section.side).coefficients();
    scratch.resize((count + kernels::kLanes - 1) / kernels::kLanes);
    require(kernels::decode_coefficients(codec, section.group, section.side, chunk_.tokens,
                                         first_planes(section, section.encoded.planes.size()),
                                         {scratch.data()->lanes, count}));
  }
}

void BenchSections::decode_to_kv(const kernels::Codec& codec, uint32_t levels,
                                 ChunkBytes& to) const {
  for (const Section& section : sections_) {
    require(
        kernels::decode_section(codec, section.group, section.side, chunk_.tokens, chunk_.dtype,
                                first_planes(section, levels), section.encoded.sinks,
                                to.mutable_views(profile_.groups[section.group], section.side)));
  }
}

}  // namespace kvcast::tools
