#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/implementation.h"
#include "kernels/plane.h"
#include "kernels/section.h"
#include "manifests/file.h"
#include "manifests/layout.h"
#include "manifests/object.h"
#include "packager/packager.h"
#include "packager/profile_object.h"
#include "tools/commands/bench.h"
#include "tools/commands/bench_public_codecs.h"
#include "tools/commands/bench_synthetic.h"
#include "tools/commands/command.h"
#include "tools/commands/scratch_folder.h"

namespace kvcast::tools {
namespace {

using manifests::Result;
using Bytes = std::vector<std::byte>;

struct CodecBench {
  std::string input;
  std::vector<uint32_t> chunk_tokens = {128, 256, 1024};
  float step = packager::PackParams{}.step;
  int runs = 5;
  bool synthetic = false;
  bool json = false;
};

double median_seconds(int runs, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + runs / 2, seconds.end());
  return seconds[static_cast<size_t>(runs / 2)];
}

Result<packager::PackReport> pack(const CodecBench& bench, const std::string& out,
                                  uint32_t chunk_tokens, uint32_t levels) {
  packager::PackParams params;
  params.input = bench.input;
  params.out = out;
  params.chunk_tokens = chunk_tokens;
  params.levels = levels;
  params.step = bench.step;
  params.include_text = false;
  params.threads = 1;
  return packager::pack(params);
}

// What layers cost: all planes against the finest level coded alone, with tables measured for that.
Result<nlohmann::json> layering_row(const CodecBench& bench, const ScratchFolder& scratch,
                                    uint32_t chunk_tokens) {
  auto layered = pack(bench, scratch.in(fmt::format("layered-{}", chunk_tokens)), chunk_tokens, 4);
  if (!layered) return layered.error();
  auto alone = pack(bench, scratch.in(fmt::format("alone-{}", chunk_tokens)), chunk_tokens, 1);
  if (!alone) return alone.error();
  const uint64_t all_planes = layered->bytes_by_level.back(), finest = alone->bytes_by_level.back();
  return nlohmann::json{{"operation", "layering"},
                        {"chunk_tokens", chunk_tokens},
                        {"all_planes_bytes", all_planes},
                        {"finest_alone_bytes", finest},
                        {"ratio", static_cast<double>(all_planes) / static_cast<double>(finest)}};
}

// The first chunk of a packed presentation, in memory.
struct LoadedChunk {
  kernels::Profile profile;
  manifests::ChunkEntry entry;
  kernels::DType dtype = kernels::DType::kBf16;
  std::vector<Bytes> objects;
  std::vector<manifests::ObjectView> planes;
  uint64_t bytes = 0;
};

Result<LoadedChunk> load_first_chunk(const std::string& store,
                                     const manifests::Manifest& manifest) {
  auto load = [&](const manifests::ObjectRef& ref) {
    return manifests::read_file(
        store + "/" + manifests::object_path(manifests::kDefaultTenant, ref.digest), ref.bytes);
  };
  auto profile_bytes = load(manifest.profile);
  if (!profile_bytes) return profile_bytes.error();
  auto profile = packager::read_profile_object(*profile_bytes, "profile");
  if (!profile) return profile.error();
  LoadedChunk chunk{.profile = std::move(*profile),
                    .entry = manifest.chunks.front(),
                    .objects = {},
                    .planes = {}};
  for (const manifests::PlaneRef& plane : chunk.entry.planes) {
    auto bytes = load(plane);
    if (!bytes) return bytes.error();
    chunk.bytes += bytes->size();
    chunk.objects.push_back(std::move(*bytes));
    auto view = manifests::read_object(chunk.objects.back(), "plane");
    if (!view) return view.error();
    chunk.planes.push_back(std::move(*view));
  }
  chunk.dtype = static_cast<kernels::DType>(chunk.planes.front().header.dtype);
  return chunk;
}

std::span<const std::byte> section_of(const manifests::ObjectView& object,
                                      kernels::SectionKind kind, uint32_t group,
                                      kernels::Side side) {
  for (const manifests::ObjectSection& section : object.sections) {
    if (section.kind == static_cast<uint16_t>(kind) && section.group == group &&
        section.side == static_cast<uint8_t>(side))
      return section.bytes;
  }
  return {};
}

// Decodes planes 0..level of every section into one scratch tensor a layer.
void decode_chunk(const LoadedChunk& chunk, const kernels::Codec& codec, uint32_t level,
                  std::vector<Bytes>& layers) {
  using kernels::SectionKind, kernels::Side;
  const kernels::TokenRange tokens{
      chunk.entry.token_begin,
      static_cast<uint32_t>(chunk.entry.token_end - chunk.entry.token_begin)};
  for (uint32_t group = 0; group < chunk.profile.groups.size(); ++group) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      std::vector<std::span<const std::byte>> planes;
      for (uint32_t plane = 0; plane <= level; ++plane) {
        planes.push_back(section_of(chunk.planes[plane],
                                    plane == 0 ? SectionKind::kBase : SectionKind::kRefinement,
                                    group, side));
      }
      std::vector<kernels::MutableTensorView> views;
      const size_t stride =
          chunk.profile.geometry.channels(side) * kernels::dtype_bytes(chunk.dtype);
      for (uint32_t layer = 0; layer < chunk.profile.groups[group].layers; ++layer)
        views.push_back({layers[layer].data(), stride});
      const auto check = kernels::decode_section(
          codec, group, side, tokens, chunk.dtype, planes,
          section_of(chunk.planes[0], SectionKind::kSinks, group, side), views);
      if (!check) throw std::logic_error(check.fault().what);
    }
  }
}

Result<std::vector<nlohmann::json>> speed_rows(const CodecBench& bench,
                                               const ScratchFolder& scratch) {
  const uint32_t chunk_tokens = bench.chunk_tokens.back();
  const std::string store = scratch.in("speed");
  const auto start = std::chrono::steady_clock::now();
  auto packed = pack(bench, store, chunk_tokens, 4);
  if (!packed) return packed.error();
  const double pack_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  auto chunk = load_first_chunk(store, packed->manifest);
  if (!chunk) return chunk.error();

  const kernels::Codec codec(chunk->profile);
  const std::string implementation = kernels::implementation_name(codec.implementation());
  const uint64_t tokens = chunk->entry.token_end - chunk->entry.token_begin;
  const uint64_t raw = tokens * chunk->profile.geometry.bytes_per_token(chunk->dtype);
  const double elements =
      static_cast<double>(raw) / static_cast<double>(kernels::dtype_bytes(chunk->dtype));
  std::vector<Bytes> layers(chunk->profile.geometry.layers, Bytes(raw));
  std::vector<nlohmann::json> rows;
  auto add = [&](const std::string& operation, const std::string& by, double symbols, double bytes,
                 double seconds, double bits) {
    rows.push_back({{"operation", operation},
                    {"implementation", by},
                    {"symbols_per_s", symbols / seconds},
                    {"bytes_out_per_s", bytes / seconds},
                    {"bits_per_symbol", bits}});
  };
  uint64_t bytes = 0;
  for (uint32_t level = 0; level < chunk->planes.size(); ++level) {
    bytes += chunk->entry.planes[level].bytes;
    const double seconds =
        median_seconds(bench.runs, [&] { decode_chunk(*chunk, codec, level, layers); });
    add(fmt::format("decode level {}", level), implementation, elements, static_cast<double>(raw),
        seconds, 8.0 * static_cast<double>(bytes) / elements);
  }
  const double all_elements = static_cast<double>(packed->raw_bytes) /
                              static_cast<double>(kernels::dtype_bytes(chunk->dtype));
  add("pack (read, measure, encode, sync)", implementation, all_elements,
      static_cast<double>(packed->raw_bytes), pack_seconds,
      8.0 * static_cast<double>(packed->bytes_by_level.back()) / all_elements);
  Bytes from(raw, std::byte{1}), to(raw);
  const double copy = median_seconds(bench.runs, [&] { std::memcpy(to.data(), from.data(), raw); });
  add("copy", "memcpy", elements, static_cast<double>(raw), copy,
      8.0 * static_cast<double>(kernels::dtype_bytes(chunk->dtype)));
  return rows;
}

void print(const std::vector<nlohmann::json>& rows) {
  for (const auto& row : rows) {
    if (row["operation"] == "layering") {
      fmt::print("chunks of {:>5} tokens: all planes {:>10} bytes, finest alone {:>10}: {:.4f}x\n",
                 row["chunk_tokens"].get<uint32_t>(), row["all_planes_bytes"].get<uint64_t>(),
                 row["finest_alone_bytes"].get<uint64_t>(), row["ratio"].get<double>());
    } else {
      fmt::print("{:<57}{:<16}{:>9.3f} G elements/s {:>8.2f} GB/s out {:>7.3f} bits/element\n",
                 row["operation"].get<std::string>(), row["implementation"].get<std::string>(),
                 row["symbols_per_s"].get<double>() / 1e9,
                 row["bytes_out_per_s"].get<double>() / 1e9, row["bits_per_symbol"].get<double>());
    }
  }
}

// What is measured on the KV file.
Result<std::vector<nlohmann::json>> file_rows(const CodecBench& bench) {
  const ScratchFolder scratch;
  std::vector<nlohmann::json> rows;
  for (const uint32_t chunk_tokens : bench.chunk_tokens) {
    auto row = layering_row(bench, scratch, chunk_tokens);
    if (!row) return row.error();
    rows.push_back(std::move(*row));
  }
  auto speeds = speed_rows(bench, scratch);
  if (!speeds) return speeds.error();
  rows.insert(rows.end(), speeds->begin(), speeds->end());
  return rows;
}

int run(const CodecBench& bench) {
  std::vector<nlohmann::json> rows;
  if (!bench.input.empty()) {
    auto measured = file_rows(bench);
    if (!measured) return report(measured.error());
    rows = std::move(*measured);
  }
  if (bench.synthetic) {
    if (const std::string absent = absent_codecs(); !absent.empty())
      fmt::print(stderr, "kvcast: left out: {}\n", absent);
    const auto measured = synthetic_rows({.runs = bench.runs});
    rows.insert(rows.end(), measured.begin(), measured.end());
  }
  if (bench.json) {
    fmt::print("{}\n", nlohmann::json{{"rows", rows}}.dump());
  } else {
    print(rows);
  }
  return 0;
}

}  // namespace

void add_bench_codec(CLI::App& bench, int& exit_code) {
  auto params = std::make_shared<CodecBench>();
  CLI::App* command = bench.add_subcommand(
      "codec", "Bytes of layered against single-level coding, and coding speed, on a KV file");
  CLI::Option* input =
      command->add_option("KV", params->input, "KV cache as safetensors (kvcast prefill makes one)")
          ->check(CLI::ExistingFile);
  CLI::Option* synthetic = command->add_flag(
      "--synthetic", params->synthetic,
      "on symbols of known entropy: every implementation beside public codecs, in CPU time");
  command
      ->add_option("--chunk-tokens", params->chunk_tokens,
                   "chunk sizes to compare; speed is measured at the last")
      ->capture_default_str();
  command
      ->add_option("--step", params->step,
                   "quantiser step of the finest level, in standard deviations; at 0.4 the finest "
                   "alone needs no escapes, "
                   "so that layers compare fairly")
      ->capture_default_str();
  command->add_option("--runs", params->runs, "runs; medians are shown")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_flag("--json", params->json, "one JSON object on stdout");
  command->footer(
      "Examples: kvcast bench codec kv.safetensors --chunk-tokens 128 256 1024\n"
      "          kvcast bench codec --synthetic");
  command->callback([params, input, synthetic, &exit_code] {
    if (input->count() + synthetic->count() == 0) throw CLI::RequiredError("KV or --synthetic");
    exit_code = run(*params);
  });
}

}  // namespace kvcast::tools
