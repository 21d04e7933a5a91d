// What is played in a simulation: a packaged presentation, or one described by its model's shape.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "manifests/manifest.h"
#include "manifests/result.h"
#include "player/simulator.h"

namespace kvcast::simulate {

// How fast engine and decoder are. Absent: what is said at the functions below.
struct Speeds {
  // Of prefill at position 0; a token at position p takes 1 + p * position_cost times as long.
  std::optional<double> prefill_tokens_per_s, position_cost;
  std::optional<double> decode_gb_per_s;  // KV written, of one plane; level n decodes n + 1
};

struct Selection {
  uint32_t min_level = 0;
  std::optional<uint32_t> max_level;
};

// Defaults: 2,700 tokens/s and 6.8e-4, the pocket engine on two cores (12 M operations a token in
// products with weights, 8,192 a token and position in attention); 1.6 GB/s, two AVX-512 threads.
manifests::Result<player::SimulatedPresentation> from_manifest(const manifests::Manifest& manifest,
                                                               uint64_t manifest_bytes,
                                                               const Speeds& speeds,
                                                               const Selection& selection);

// MODEL:TOKENS[:CHUNK_TOKENS], models llama-3-8b and llama-3-70b, chunks of 1,024 by default.
// Bytes: the pocket model's measured bits per element and top-1 agreement a level
// (presentations.cc), each chunk some percent off, by a hash of its number. The player has the
// profile already. Engine: operations by shape, at 200 T/s a GPU, 1 for 8B and 4 for 70B; decoding
// 500 GB/s.
manifests::Result<player::SimulatedPresentation> synthetic(const std::string& spec,
                                                           const Speeds& speeds,
                                                           const Selection& selection);

}  // namespace kvcast::simulate
