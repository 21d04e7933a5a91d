#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "packager/packager.h"
#include "tools/commands/bench.h"
#include "tools/commands/bench_file.h"
#include "tools/commands/bench_public_codecs.h"
#include "tools/commands/bench_synthetic.h"
#include "tools/commands/command.h"

namespace kvcast::tools {
namespace {

struct CodecBench {
  FileBench file{"", {128, 256, 1024}, packager::PackParams{}.step, {}};
  bool synthetic = false;
  bool json = false;
};

void print_layering(const nlohmann::json& row) {
  fmt::print(
      "chunks of {:>5} tokens: all planes {:>10} bytes, finest alone {:>10}: {:.4f}x; "
      "side information {:.2f}%\n",
      row["chunk_tokens"].get<uint32_t>(), row["all_planes_bytes"].get<uint64_t>(),
      row["finest_alone_bytes"].get<uint64_t>(), row["ratio"].get<double>(),
      100 * row["side_information"].get<double>());
}

void print(const std::vector<nlohmann::json>& rows) {
  constexpr const char* kHead = "{:<67}{:<16}{:>10}{:>10}{:>10}{:>10}\n";
  fmt::print(kHead, "", "", "G/s", "best", "GB/s out", "bits");
  for (const auto& row : rows) {
    if (row["operation"] == "layering") {
      print_layering(row);
      continue;
    }
    fmt::print("{:<67}{:<16}{:>10.3f}{:>10.3f}{:>10.2f}{:>10.3f}\n",
               row["operation"].get<std::string>(), row["implementation"].get<std::string>(),
               row["symbols_per_s"].get<double>() / 1e9,
               row["best_symbols_per_s"].get<double>() / 1e9,
               row["bytes_out_per_s"].get<double>() / 1e9, row["bits_per_symbol"].get<double>());
  }
}

int run(const CodecBench& bench) {
  if (const std::string absent = absent_codecs(); !absent.empty())
    fmt::print(stderr, "kvcast: left out: {}\n", absent);
  std::vector<nlohmann::json> rows;
  if (!bench.file.input.empty()) {
    auto measured = file_rows(bench.file);
    if (!measured) return report(measured.error());
    rows = std::move(*measured);
  }
  if (bench.synthetic) {
    const auto measured = synthetic_rows({.rounds = bench.file.rounds});
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
      "codec", "Coding speed of every implementation beside public codecs, and bytes of layers");
  CLI::Option* input = command
                           ->add_option("KV", params->file.input,
                                        "KV cache as safetensors (kvcast prefill makes one)")
                           ->check(CLI::ExistingFile);
  CLI::Option* synthetic = command->add_flag(
      "--synthetic", params->synthetic,
      "on symbols of known entropy, chunks with every scope of transform, one thread and two");
  command
      ->add_option("--chunk-tokens", params->file.chunk_tokens,
                   "chunk sizes to compare; speed is measured at the last")
      ->capture_default_str();
  command
      ->add_option("--step", params->file.step,
                   "quantiser step of the finest level, in standard deviations; at 0.4 the finest "
                   "alone needs no escapes, "
                   "so that layers compare fairly")
      ->capture_default_str();
  command
      ->add_option("--runs", params->file.rounds.runs,
                   "rounds over all cases; medians and the best are shown")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--only", params->file.rounds.only,
                      "only rows whose name or implementation contains one of these");
  command->add_flag("--json", params->json, "one JSON object on stdout");
  command->footer(
      "CPU time of one thread, but for rows that name threads. Examples:\n"
      "  kvcast bench codec kv.safetensors --synthetic\n"
      "  kvcast bench codec kv.safetensors --chunk-tokens 128 256 1024\n"
      "  kvcast bench codec --synthetic --only 'one plane, encode' 'htscodecs'");
  command->callback([params, input, synthetic, &exit_code] {
    if (input->count() + synthetic->count() == 0) throw CLI::RequiredError("KV or --synthetic");
    exit_code = run(*params);
  });
}

}  // namespace kvcast::tools
