#include "tools/commands/bench_synthetic.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <string>

#include "kernels/implementation.h"
#include "manifests/digest.h"
#include "tools/commands/bench_measure.h"
#include "tools/commands/bench_peers.h"
#include "tools/commands/bench_sections.h"
#include "tools/commands/bench_symbols.h"
#include "tools/commands/bench_threads.h"
#include "tools/commands/bench_transforms.h"

namespace kvcast::tools {
namespace {

using kernels::DType;
using kernels::Implementation;
using kernels::Side;

constexpr uint32_t kTokens = 1024;
// Values only: keys would need RoPE for the work to be that of keys.
constexpr kernels::Geometry kGeometry{1, 1, 1, 8, 128};

// Profile, data and room of one case; the cases share it.
struct Work {
  Work(const std::vector<double>& distribution, std::vector<uint8_t> drop_bits)
      : profile(plain_profile(kGeometry, distribution, std::move(drop_bits))),
        chunk(kGeometry, {0, kTokens}, DType::kBf16),
        out(chunk),
        values(draw_bf16(distribution, size_t{kTokens} * kGeometry.channels(Side::kValue))) {
    std::memcpy(chunk.tensor(0, Side::kValue).data(), values.data(), 2 * values.size());
    sections = std::make_unique<BenchSections>(profile, chunk, Sides{Side::kValue});
  }
  kernels::Profile profile;
  ChunkBytes chunk, out;
  std::vector<uint16_t> values;
  CoefficientRows coefficients;
  std::unique_ptr<BenchSections> sections;
};

void add_ours(const std::string& what, const std::shared_ptr<Work>& work,
              std::vector<BenchCase>& cases) {
  const double elements = work->sections->elements(), bytes = work->sections->bytes();
  const uint32_t levels = work->profile.levels;
  const double bits = work->sections->bits_per_element(levels);
  for (const Implementation implementation : kernels::implementations()) {
    if (!kernels::runs_here(implementation)) continue;
    const std::string name = kernels::implementation_name(implementation);
    const auto codec = std::make_shared<kernels::Codec>(work->profile, implementation);
    cases.push_back({what + ", decode to coefficients", name, elements, bytes, bits,
                     [=] { work->sections->decode_to_coefficients(*codec, work->coefficients); }});
    cases.push_back({what + ", decode to KV", name, elements, bytes, bits,
                     [=] { work->sections->decode_to_kv(*codec, levels, work->out); }});
    cases.push_back({what + ", encode", name, elements, elements * bits / 8, bits,
                     [=] { work->sections->encode(*codec); }});
  }
}

std::vector<uint8_t> bytes_of(const std::vector<uint16_t>& values) {
  std::vector<uint8_t> symbols;
  for (const uint16_t value : values)
    symbols.push_back(static_cast<uint8_t>(static_cast<int>(kernels::bf16_to_f32(value))));
  return symbols;
}

void add_copies(std::vector<BenchCase>& cases) {
  const auto from = std::make_shared<std::vector<std::byte>>(size_t{2} << 20, std::byte{1});
  const auto to = std::make_shared<std::vector<std::byte>>(from->size());
  const auto bytes = static_cast<double>(from->size());
  cases.push_back({"copy bf16", "memcpy", bytes / 2, bytes, 16,
                   [=] { std::memcpy(to->data(), from->data(), from->size()); }});
  cases.push_back(
      {"section hash, of bytes", "xxh3", bytes, bytes, 8, [=] { (void)manifests::xxh3(*from); }});
  cases.push_back({"object digest, of bytes", "sha256", bytes, bytes, 8,
                   [=] { (void)manifests::sha256(*from); }});
}

void append(std::vector<nlohmann::json> from, std::vector<nlohmann::json>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

std::vector<nlohmann::json> synthetic_rows(const SyntheticBench& bench) {
  std::vector<nlohmann::json> rows;
  for (const double bits : bench.bits) {
    const std::string what = fmt::format("{} bits", bits);
    const auto one = std::make_shared<Work>(geometric_of_entropy(bits), std::vector<uint8_t>{0});
    const auto four =
        std::make_shared<Work>(on_finer_scale(bits, 8), std::vector<uint8_t>{3, 2, 1, 0});
    std::vector<BenchCase> cases;
    add_ours(what + ", one plane", one, cases);
    add_ours(what + " and three planes", four, cases);
    add_peers(what, bytes_of(one->values), cases);
    append(measure(cases, bench.rounds), rows);
  }
  std::vector<BenchCase> copies;
  add_copies(copies);
  append(measure(copies, bench.rounds), rows);
  append(transform_rows(bench.rounds), rows);
  append(thread_rows(bench.rounds), rows);
  return rows;
}

}  // namespace kvcast::tools
