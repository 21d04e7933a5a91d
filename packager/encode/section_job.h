// One (chunk, transform group, K|V): read, checked, and encoded into what the chunk's objects hold
// of it. Stateless; any number of threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/plane.h"
#include "manifests/result.h"
#include "packager/source/kv_source.h"

namespace kvcast::packager {

struct SectionJob {
  uint32_t chunk = 0;
  uint32_t group = 0;
  kernels::Side side = kernels::Side::kKey;
  kernels::TokenRange tokens;  // of the chunk
};

struct EncodedJob {
  kernels::EncodedSection section;
  std::vector<std::byte> sinks;               // empty unless the chunk holds any
  std::vector<std::vector<std::byte>> exact;  // a layer of the group each; empty unless asked for
  uint64_t raw_bytes = 0;
  uint64_t non_finite_elements = 0;
  std::string first_non_finite;
};

struct NonFiniteCount {
  uint64_t elements = 0;
  std::string first;  // "NaN at FILE: tensor ..."
};

// Reads layers [first_layer, first_layer + layers) into `to`, [layer][token][head][dim], and looks
// for NaN and infinity: an error that names the first, unless `allow` is set; then they are
// counted.
manifests::Status read_layers(const KvSource& source, uint32_t first_layer, uint32_t layers,
                              kernels::Side side, kernels::TokenRange tokens, bool allow,
                              std::span<std::byte> to, NonFiniteCount& non_finite);

// A view of each of `layers` in `bytes`, laid out as read_layers does.
std::vector<kernels::TensorView> layer_views(const KvSource& source, uint32_t layers,
                                             kernels::Side side, kernels::TokenRange tokens,
                                             std::span<const std::byte> bytes);

// With `exact`, NaN and infinity are 0 in the planes and themselves in sinks and exact sections.
manifests::Result<EncodedJob> encode_job(const KvSource& source, const kernels::Codec& codec,
                                         const SectionJob& job, bool exact);

// About what encode_job holds at its peak for `elements` elements: the layers, the kernels' working
// arrays of two floats and an integer an element, and the encoded bytes.
uint64_t job_memory_bytes(uint64_t elements, kernels::DType dtype);

}  // namespace kvcast::packager
