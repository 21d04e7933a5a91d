#include "tools/simulate/presentations.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <string_view>

namespace kvcast::simulate {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using player::ChunkState;
using player::SimulatedPresentation;

constexpr double kPocketTokensPerS = 2700, kPocketPositionCost = 8192 / 12e6;
constexpr double kPocketDecodeGbPerS = 1.6;

// Planes of a per-head profile of the pocket model (--step 0.22 --rounding 0.35) on
// tests/data/story.txt, 2,955 tokens, chunks of 128: bits per KV element of each plane, and top-1
// agreement of each level, as `kvcast pack --profile` wrote them to the manifest.
struct Plane {
  double bits_per_element, agreement;
};
constexpr Plane kMeasured[] = {{0.679, 0.9599}, {0.760, 0.9837}, {1.034, 0.9959}, {1.207, 0.9994}};
constexpr double kSpread = 0.06;  // of a plane's bytes from chunk to chunk, there

struct Model {
  std::string_view name;
  double parameters, hidden;
  uint32_t layers, kv_channels;  // of keys, and as many of values
  double gpus;
};
constexpr Model kModels[] = {{"llama-3-8b", 8.0e9, 4096, 32, 1024, 1},
                             {"llama-3-70b", 70.6e9, 8192, 80, 1024, 4}};
constexpr double kOperationsPerSPerGpu = 200e12, kGpuDecodeGbPerS = 500;
constexpr uint64_t kMostTokens = 1u << 24;
constexpr uint64_t kManifestBytesPerChunk = 400, kBytesPerTextToken = 6;

struct Engine {
  double seconds_per_token = 0, position_cost = 0, decode_bytes_per_s = 0;
};

Engine engine_of(const Speeds& speeds, double tokens_per_s, double position_cost, double gb_per_s) {
  return {1 / speeds.prefill_tokens_per_s.value_or(tokens_per_s),
          speeds.position_cost.value_or(position_cost),
          1e9 * speeds.decode_gb_per_s.value_or(gb_per_s)};
}

void time_chunk(ChunkState& chunk, uint64_t begin, double raw_bytes, const Engine& engine) {
  const auto tokens = static_cast<double>(chunk.tokens);
  const double middle = static_cast<double>(begin) + tokens / 2;
  chunk.recompute_s = tokens * engine.seconds_per_token * (1 + engine.position_cost * middle);
  for (size_t n = 0; n < chunk.ladder.size(); ++n) {
    chunk.ladder[n].decode_s = raw_bytes * static_cast<double>(n + 1) / engine.decode_bytes_per_s;
  }
}

void select_levels(ChunkState& chunk, const Selection& selection) {
  chunk.max_level = static_cast<int>(chunk.ladder.size()) - 1;
  if (selection.max_level) {
    chunk.max_level = std::min(chunk.max_level, static_cast<int>(*selection.max_level));
  }
  chunk.min_level = static_cast<int>(selection.min_level);
  chunk.max_level = std::max(chunk.max_level, chunk.min_level);
}

Error no_such_level(const std::string& name, uint32_t min_level, size_t levels) {
  return {ErrorKind::kUsage, fmt::format("{}: there is no level {}, its levels are 0 to {}", name,
                                         min_level, levels - 1)};
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Shape {
  const Model* model = nullptr;
  uint64_t tokens = 0, chunk_tokens = 1024;
};

Result<Shape> parse_shape(const std::string& spec) {
  const Error usage{ErrorKind::kUsage,
                    fmt::format("{}: a synthetic presentation is MODEL:TOKENS[:CHUNK_TOKENS], "
                                "models llama-3-8b and llama-3-70b, up to {} tokens, chunks of a "
                                "multiple of 16",
                                spec, kMostTokens)};
  const std::string_view text = spec;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return usage;
  Shape shape;
  for (const Model& model : kModels) {
    if (text.substr(0, colon) == model.name) shape.model = &model;
  }
  const std::string_view rest = text.substr(colon + 1);
  const size_t second = rest.find(':');
  const auto tokens = number(rest.substr(0, second));
  const auto chunk = second == std::string_view::npos ? std::optional<uint64_t>(1024)
                                                      : number(rest.substr(second + 1));
  if (shape.model == nullptr || !tokens || !chunk) return usage;
  if (*tokens == 0 || *tokens > kMostTokens || *chunk == 0 || *chunk % 16 != 0) return usage;
  if ((*tokens + *chunk - 1) / *chunk > manifests::kMaxChunks) return usage;
  shape.tokens = *tokens;
  shape.chunk_tokens = *chunk;
  return shape;
}

// Within +-1, the same on every machine.
double wobble(uint64_t chunk, uint64_t plane) {
  uint64_t x = chunk * 8 + plane + 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) / static_cast<double>(1ull << 52) - 1;
}

}  // namespace

Result<SimulatedPresentation> from_manifest(const manifests::Manifest& manifest,
                                            uint64_t manifest_bytes, const Speeds& speeds,
                                            const Selection& selection) {
  if (manifest.chunks.empty()) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: no chunks to play", manifest.id)};
  }
  const Engine engine =
      engine_of(speeds, kPocketTokensPerS, kPocketPositionCost, kPocketDecodeGbPerS);
  SimulatedPresentation made;
  made.name = manifest.id;
  made.manifest_bytes = manifest_bytes;
  made.profile_bytes = manifest.profile.bytes;
  made.raw_bytes = manifest.raw_bytes;
  const double raw_per_token =
      static_cast<double>(manifest.raw_bytes) / static_cast<double>(manifest.tokens);
  for (const manifests::ChunkEntry& entry : manifest.chunks) {
    ChunkState& chunk = made.chunks.emplace_back();
    chunk.tokens = entry.token_end - entry.token_begin;
    for (const manifests::PlaneRef& plane : entry.planes) {
      chunk.ladder.push_back({plane.bytes, plane.agreement.value_or(1 - plane.distortion), 0});
    }
    if (selection.min_level >= chunk.ladder.size()) {
      return no_such_level(made.name, selection.min_level, chunk.ladder.size());
    }
    select_levels(chunk, selection);
    time_chunk(chunk, entry.token_begin, raw_per_token * static_cast<double>(chunk.tokens), engine);
  }
  if (manifest.floor_level) {
    ChunkState& last = made.chunks.back();
    last.min_level = std::max(last.min_level, static_cast<int>(*manifest.floor_level));
    last.max_level = std::max(last.max_level, last.min_level);
  }
  return made;
}

Result<SimulatedPresentation> synthetic(const std::string& spec, const Speeds& speeds,
                                        const Selection& selection) {
  const auto shape = parse_shape(spec);
  if (!shape) return shape.error();
  if (selection.min_level >= std::size(kMeasured)) {
    return no_such_level(spec, selection.min_level, std::size(kMeasured));
  }
  const Model& model = *shape->model;
  const double operations_per_s = kOperationsPerSPerGpu * model.gpus;
  const double per_token = 2 * model.parameters;
  const double per_position = 4.0 * model.layers * model.hidden;
  const Engine engine =
      engine_of(speeds, operations_per_s / per_token, per_position / per_token, kGpuDecodeGbPerS);
  SimulatedPresentation made;
  made.name = spec;
  const double elements_per_token = 2.0 * model.layers * model.kv_channels;
  for (uint64_t begin = 0; begin < shape->tokens; begin += shape->chunk_tokens) {
    ChunkState& chunk = made.chunks.emplace_back();
    const uint64_t index = made.chunks.size() - 1;
    chunk.tokens = std::min(shape->chunk_tokens, shape->tokens - begin);
    const double elements = elements_per_token * static_cast<double>(chunk.tokens);
    for (size_t n = 0; n < std::size(kMeasured); ++n) {
      const double bytes =
          elements * kMeasured[n].bits_per_element / 8 * (1 + kSpread * wobble(index, n));
      chunk.ladder.push_back({static_cast<uint64_t>(bytes), kMeasured[n].agreement, 0});
    }
    select_levels(chunk, selection);
    time_chunk(chunk, begin, 2 * elements, engine);
    made.raw_bytes += static_cast<uint64_t>(2 * elements);
  }
  made.manifest_bytes =
      kManifestBytesPerChunk * made.chunks.size() + kBytesPerTextToken * shape->tokens;
  return made;
}

}  // namespace kvcast::simulate
