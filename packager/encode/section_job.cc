#include "packager/encode/section_job.h"

#include <fmt/format.h>

#include <utility>

#include "kernels/exact.h"
#include "packager/source/finite.h"

namespace kvcast::packager {
namespace {

using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

std::vector<std::vector<std::byte>> encode_exact_layers(
    const KvSource& source, const SectionJob& job, std::span<const kernels::TensorView> views) {
  std::vector<std::vector<std::byte>> exact;
  exact.reserve(views.size());
  for (const kernels::TensorView& view : views) {
    exact.push_back(kernels::encode_exact(source.dtype(), job.tokens.count,
                                          source.geometry().channels(job.side), view));
  }
  return exact;
}

}  // namespace

std::vector<kernels::TensorView> layer_views(const KvSource& source, uint32_t layers, Side side,
                                             kernels::TokenRange tokens,
                                             std::span<const std::byte> bytes) {
  const uint64_t layer_bytes = source.layer_bytes(side, tokens.count);
  std::vector<kernels::TensorView> views;
  for (uint32_t layer = 0; layer < layers; ++layer) {
    views.push_back({bytes.data() + layer * layer_bytes, source.layer_bytes(side, 1)});
  }
  return views;
}

Status read_layers(const KvSource& source, uint32_t first_layer, uint32_t layers, Side side,
                   kernels::TokenRange tokens, bool allow, std::span<std::byte> to,
                   NonFiniteCount& non_finite) {
  const uint64_t layer_bytes = source.layer_bytes(side, tokens.count);
  for (uint32_t i = 0; i < layers; ++i) {
    const auto bytes = to.subspan(i * layer_bytes, layer_bytes);
    if (Status read = source.read(first_layer + i, side, tokens, bytes); !read.ok()) return read;
    const auto found = find_non_finite(source.dtype(), bytes);
    if (!found) continue;
    const std::string place = source.place(first_layer + i, side, tokens, found->element);
    if (!allow) {
      return Error{
          ErrorKind::kCorrupt,
          fmt::format("{} is {}, which no quality level can hold; make the cache again, or "
                      "pass --exact to keep it losslessly (the levels then hold 0 there)",
                      place, found->value)};
    }
    if (non_finite.first.empty()) non_finite.first = fmt::format("{} is {}", place, found->value);
    non_finite.elements += count_non_finite(source.dtype(), bytes);
  }
  return {};
}

Result<EncodedJob> encode_job(const KvSource& source, const kernels::Codec& codec,
                              const SectionJob& job, bool exact) {
  const kernels::LayerGroup& group = codec.profile().groups[job.group];
  std::vector<std::byte> raw(group.layers * source.layer_bytes(job.side, job.tokens.count));
  NonFiniteCount non_finite;
  if (Status read = read_layers(source, group.first_layer, group.layers, job.side, job.tokens,
                                exact, raw, non_finite);
      !read.ok()) {
    return read.error();
  }
  const auto views = layer_views(source, group.layers, job.side, job.tokens, raw);
  EncodedJob encoded;
  encoded.raw_bytes = raw.size();
  encoded.non_finite_elements = non_finite.elements;
  encoded.first_non_finite = std::move(non_finite.first);
  if (codec.profile().sinks_in(job.tokens) > 0) {
    encoded.sinks = kernels::encode_sinks(codec.profile(), job.group, job.side, job.tokens,
                                          source.dtype(), views);
  }
  if (exact) encoded.exact = encode_exact_layers(source, job, views);
  if (non_finite.elements > 0) clear_non_finite(source.dtype(), raw);
  auto section = kernels::encode_section(codec, job.group, job.side, job.tokens, source.dtype(),
                                         views, kernels::ValueChoice::kRateDistortion);
  if (!section.ok()) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: chunk {}, transform group {}, {}: {} (element {})", source.path(),
                             job.chunk, job.group, job.side == Side::kKey ? "keys" : "values",
                             section.fault().what, section.fault().offset)};
  }
  encoded.section = std::move(*section);
  return encoded;
}

uint64_t job_memory_bytes(uint64_t elements, kernels::DType dtype) {
  constexpr uint64_t kWorkingBytesPerElement = 16;
  return elements * (kernels::dtype_bytes(dtype) + kWorkingBytesPerElement);
}

}  // namespace kvcast::packager
