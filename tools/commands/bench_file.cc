#include "tools/commands/bench_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "kernels/coefficients.h"
#include "kernels/exact.h"
#include "kernels/implementation.h"
#include "manifests/file.h"
#include "manifests/kv_file.h"
#include "manifests/layout.h"
#include "packager/packager.h"
#include "packager/profile_object.h"
#include "packager/side_information.h"
#include "tools/commands/bench_measure.h"
#include "tools/commands/bench_peers.h"
#include "tools/commands/bench_sections.h"
#include "tools/commands/scratch_folder.h"

namespace kvcast::tools {
namespace {

using kernels::Implementation;
using kernels::Side;
using manifests::Result;

struct Packed {
  packager::PackReport report;
  kernels::Profile profile;
  double seconds = 0;
  packager::SideInformation side_information;
};

Result<Packed> pack(const FileBench& bench, const ScratchFolder& scratch, uint32_t chunk_tokens,
                    uint32_t levels) {
  packager::PackParams params;
  params.input = bench.input;
  params.out = scratch.in(fmt::format("{}-levels-of-{}", levels, chunk_tokens));
  params.chunk_tokens = chunk_tokens;
  params.levels = levels;
  params.step = bench.step;
  params.include_text = false;
  params.threads = 1;
  const auto start = std::chrono::steady_clock::now();
  auto report = packager::pack(params);
  if (!report) return report.error();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const manifests::ObjectRef& ref = report->manifest.profile;
  auto bytes = manifests::read_file(
      params.out + "/" + manifests::object_path(manifests::kDefaultTenant, ref.digest), ref.bytes);
  if (!bytes) return bytes.error();
  auto profile = packager::read_profile_object(*bytes, "profile");
  if (!profile) return profile.error();
  const auto side = packager::side_information(
      fmt::format("{}/t/{}", params.out, manifests::kDefaultTenant), report->manifest, *profile);
  if (!side) return side.error();
  return Packed{std::move(*report), std::move(*profile), seconds, *side};
}

// All planes against the finest level coded alone, with tables measured for that.
nlohmann::json layering_row(uint32_t chunk_tokens, const Packed& layered, const Packed& alone) {
  const uint64_t all_planes = layered.report.bytes_by_level.back();
  const uint64_t finest = alone.report.bytes_by_level.back();
  return {{"operation", "layering"},
          {"chunk_tokens", chunk_tokens},
          {"all_planes_bytes", all_planes},
          {"finest_alone_bytes", finest},
          {"ratio", static_cast<double>(all_planes) / static_cast<double>(finest)},
          {"side_information", layered.side_information.share()}};
}

Result<std::shared_ptr<ChunkBytes>> read_chunk(const FileBench& bench,
                                               const kernels::Profile& profile) {
  auto file = manifests::SafetensorsFile::open(bench.input);
  if (!file) return file.error();
  auto info = manifests::describe_kv_file(*file);
  if (!info) return info.error();
  const auto tokens =
      static_cast<uint32_t>(std::min<uint64_t>(info->tokens, bench.chunk_tokens.back()));
  const auto dtype = kernels::dtype_from_name(info->model.dtype);
  if (!dtype) throw std::logic_error("a type that packs and has no name");
  auto chunk =
      std::make_shared<ChunkBytes>(profile.geometry, kernels::TokenRange{0, tokens}, *dtype);
  for (uint32_t layer = 0; layer < profile.geometry.layers; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      if (chunk->tensor(layer, side).empty()) continue;
      auto tensor = file->tensor(side == Side::kKey ? manifests::key_tensor_name(layer)
                                                    : manifests::value_tensor_name(layer));
      if (!tensor) return tensor.error();
      if (auto read = file->read(*tensor, 0, chunk->tensor(layer, side)); !read)
        return read.error();
    }
  }
  return chunk;
}

struct Work {
  Work(kernels::Profile of, std::shared_ptr<ChunkBytes> from)
      : profile(std::move(of)), chunk(std::move(from)), out(*chunk), sections(profile, *chunk) {}
  kernels::Profile profile;
  std::shared_ptr<ChunkBytes> chunk;
  ChunkBytes out;
  BenchSections sections;
  CoefficientRows coefficients;
};

void add_coding(const std::string& what, const std::shared_ptr<Work>& work,
                std::vector<BenchCase>& cases) {
  const double elements = work->sections.elements(), bytes = work->sections.bytes();
  const uint32_t levels = work->profile.levels;
  const double bits = work->sections.bits_per_element(levels);
  for (const Implementation implementation : kernels::implementations()) {
    if (!kernels::runs_here(implementation)) continue;
    const std::string name = kernels::implementation_name(implementation);
    const auto codec = std::make_shared<kernels::Codec>(work->profile, implementation);
    cases.push_back({what + ", decode to coefficients", name, elements, bytes, bits,
                     [=] { work->sections.decode_to_coefficients(*codec, work->coefficients); }});
    for (uint32_t level = 0; level < levels; ++level) {
      cases.push_back({fmt::format("{}, decode level {} to KV", what, level), name, elements, bytes,
                       work->sections.bits_per_element(level + 1),
                       [=] { work->sections.decode_to_kv(*codec, level + 1, work->out); }});
    }
    cases.push_back({what + ", encode", name, elements, elements * bits / 8, bits,
                     [=] { work->sections.encode(*codec); }});
  }
}

// Every tensor of the chunk as an exact section.
std::vector<std::vector<std::byte>> encode_exact(const ChunkBytes& chunk) {
  std::vector<std::vector<std::byte>> sections;
  for (size_t i = 0; i < chunk.kv.size(); ++i) {
    const uint32_t channels = chunk.geometry.channels(static_cast<Side>(i % 2));
    sections.push_back(
        kernels::encode_exact(chunk.dtype, chunk.tokens.count, channels,
                              {chunk.kv[i].data(), channels * kernels::dtype_bytes(chunk.dtype)}));
  }
  return sections;
}

void decode_exact(const std::vector<std::vector<std::byte>>& sections, ChunkBytes& to) {
  for (size_t i = 0; i < sections.size(); ++i) {
    const uint32_t channels = to.geometry.channels(static_cast<Side>(i % 2));
    const auto check =
        kernels::decode_exact(to.dtype, to.tokens.count, channels, sections[i],
                              {to.kv[i].data(), channels * kernels::dtype_bytes(to.dtype)});
    if (!check) throw std::logic_error(check.fault().what);
  }
}

void add_exact(const std::shared_ptr<Work>& work, std::vector<BenchCase>& cases) {
  const auto sections =
      std::make_shared<std::vector<std::vector<std::byte>>>(encode_exact(*work->chunk));
  double bytes = 0;
  for (const auto& section : *sections) bytes += static_cast<double>(section.size());
  const double elements = work->sections.elements(), bits = 8 * bytes / elements;
  cases.push_back({"this cache, exact, decode", "exact", elements, work->sections.bytes(), bits,
                   [=] { decode_exact(*sections, work->out); }});
  cases.push_back({"this cache, exact, encode", "exact", elements, bytes, bits,
                   [=] { (void)encode_exact(*work->chunk); }});
}

// The finest values of the whole chunk, as signed bytes.
std::vector<uint8_t> symbols_of(const Work& work) {
  std::vector<uint8_t> symbols;
  for (const BenchSections::Section& section : work.sections.sections()) {
    const auto y = kernels::section_coefficients(
        work.profile, section.group, section.side, work.chunk->tokens, work.chunk->dtype,
        work.chunk->views(work.profile.groups[section.group], section.side));
    if (!y) throw std::logic_error(y.fault().what);
    const kernels::SectionCodec& codec = work.profile.section(section.group, section.side);
    for (const float value : *y) {
      const float magnitude = std::floor(std::fabs(value) / codec.step + codec.rounding);
      const auto bounded = static_cast<int>(std::min(magnitude, 127.0f));
      symbols.push_back(static_cast<uint8_t>(value < 0 ? -bounded : bounded));
    }
  }
  return symbols;
}

nlohmann::json pack_row(const Packed& packed, kernels::DType dtype) {
  const double elements = static_cast<double>(packed.report.raw_bytes) /
                          static_cast<double>(kernels::dtype_bytes(dtype));
  const auto bytes = static_cast<double>(packed.report.bytes_by_level.back());
  return {{"operation", "pack (read, measure, encode, sync)"},
          {"implementation", kernels::implementation_name(kernels::default_implementation())},
          {"symbols_per_s", elements / packed.seconds},
          {"bytes_out_per_s", bytes / packed.seconds},
          {"bits_per_symbol", 8 * bytes / elements},
          {"best_symbols_per_s", elements / packed.seconds}};
}

}  // namespace

Result<std::vector<nlohmann::json>> file_rows(const FileBench& bench) {
  const ScratchFolder scratch;
  std::vector<nlohmann::json> rows;
  std::vector<Packed> last;
  for (const uint32_t chunk_tokens : bench.chunk_tokens) {
    last.clear();
    for (const uint32_t levels : {4u, 1u}) {
      auto packed = pack(bench, scratch, chunk_tokens, levels);
      if (!packed) return packed.error();
      last.push_back(std::move(*packed));
    }
    rows.push_back(layering_row(chunk_tokens, last[0], last[1]));
  }
  auto chunk = read_chunk(bench, last[0].profile);
  if (!chunk) return chunk.error();
  rows.push_back(pack_row(last[0], (*chunk)->dtype));
  const auto layered = std::make_shared<Work>(last[0].profile, *chunk);
  const auto alone = std::make_shared<Work>(last[1].profile, *chunk);
  std::vector<BenchCase> cases;
  add_coding("this cache, one plane", alone, cases);
  add_peers("this cache", symbols_of(*alone), cases);
  add_coding("this cache, four planes", layered, cases);
  add_exact(layered, cases);
  const auto measured = measure(cases, bench.rounds);
  rows.insert(rows.end(), measured.begin(), measured.end());
  return rows;
}

}  // namespace kvcast::tools
