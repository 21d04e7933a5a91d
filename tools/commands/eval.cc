#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "manifests/file.h"
#include "tools/commands/command.h"
#include "tools/commands/eval_report.h"
#include "tools/commands/interrupt.h"
#include "tools/commands/scratch_folder.h"
#include "tools/engine/model.h"
#include "tools/engine/prefill.h"
#include "tools/engine/saved_cache.h"
#include "tools/eval/evaluation.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr uint64_t kMaxTextBytes = 1u << 30;
const std::vector<std::string> kSchemes = {"kvcast", "exact", "cachegen", "per-token",
                                           "kvtc-style"};

struct EvalOptions {
  std::string model, text, calibration_text, svg;
  std::vector<std::string> profiles, schemes = kSchemes;
  uint32_t calibration_contexts = 12, chunk_tokens = 1024, raise_last_chunk = 0;
  eval::ContextParams params;
  bool json = false;

  bool has(const char* scheme) const {
    return std::find(schemes.begin(), schemes.end(), scheme) != schemes.end();
  }
};

Result<std::string> read_text(const std::string& path) {
  const auto bytes = manifests::read_file(path, kMaxTextBytes);
  if (!bytes.ok()) return bytes.error();
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

// KV files of the calibration text's contexts, below `folder`.
Result<std::vector<std::string>> calibration_caches(const EvalOptions& options,
                                                    const engine::Model& model,
                                                    const std::string& folder) {
  const auto text = read_text(options.calibration_text);
  if (!text.ok()) return text.error();
  eval::ContextParams params = options.params;
  params.contexts = options.calibration_contexts;
  const auto contexts = eval::cut_contexts(model, *text, params);
  if (!contexts.ok()) return contexts.error();
  std::vector<std::string> paths;
  for (const std::vector<uint32_t>& tokens : *contexts) {
    engine::KvCache cache(model.config(), tokens.size());
    engine::PrefillOptions prefill;
    prefill.threads = params.threads;
    const auto done = engine::prefill(model, cache, 0, tokens, prefill);
    if (!done.ok()) return done.error();
    paths.push_back(fmt::format("{}/calibration{}.safetensors", folder, paths.size()));
    const auto saved =
        engine::save_cache(paths.back(), model, cache, tokens, "", kernels::DType::kBf16);
    if (!saved.ok()) return saved.error();
  }
  return paths;
}

Result<std::vector<std::unique_ptr<eval::Scheme>>> make_schemes(const EvalOptions& options,
                                                                const engine::Model& model,
                                                                const std::string& folder) {
  std::vector<std::unique_ptr<eval::Scheme>> schemes;
  eval::PackedParams packed;
  packed.name = "first-chunk";
  packed.folder = folder;
  packed.chunk_tokens = options.chunk_tokens;
  packed.threads = options.params.threads;
  packed.exact = true;
  if (options.has("cachegen")) schemes.push_back(eval::cachegen_scheme());
  if (options.has("per-token")) schemes.push_back(eval::per_token_scheme());
  if (options.has("kvcast") || options.has("exact")) {
    schemes.push_back(eval::packed_scheme(model, packed));
  }
  packed.exact = false;
  if (options.has("kvcast")) {
    for (const std::string& profile : options.profiles) {
      packed.name = std::filesystem::path(profile).stem().string();
      packed.profile = profile;
      packed.raise_last_chunk = 0;
      schemes.push_back(eval::packed_scheme(model, packed));
      if (options.raise_last_chunk == 0) continue;
      packed.name += fmt::format(", end +{}", options.raise_last_chunk);
      packed.raise_last_chunk = options.raise_last_chunk;
      schemes.push_back(eval::packed_scheme(model, packed));
    }
  }
  if (options.has("kvtc-style") && !options.calibration_text.empty()) {
    const auto caches = calibration_caches(options, model, folder);
    if (!caches.ok()) return caches.error();
    auto scheme = eval::pca_deflate_scheme(*caches);
    if (!scheme.ok()) return scheme.error();
    schemes.push_back(std::move(*scheme));
  }
  return schemes;
}

Status check(const EvalOptions& options) {
  for (const std::string& scheme : options.schemes) {
    if (std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end()) {
      return Error{ErrorKind::kUsage,
                   fmt::format("--schemes {}: {} are possible", scheme, fmt::join(kSchemes, ", "))};
    }
  }
  std::error_code ignored;
  if (!options.calibration_text.empty() &&
      std::filesystem::equivalent(options.text, options.calibration_text, ignored)) {
    return Error{ErrorKind::kUsage, "calibration and evaluation text must not be the same"};
  }
  return {};
}

Status run_eval(const EvalOptions& options) {
  if (Status checked = check(options); !checked.ok()) return checked;
  const auto model = engine::Model::load(options.model);
  if (!model.ok()) return model.error();
  const auto text = read_text(options.text);
  if (!text.ok()) return text.error();
  const auto contexts = eval::cut_contexts(*model, *text, options.params);
  if (!contexts.ok()) return contexts.error();
  const ScratchFolder scratch;
  const auto schemes = make_schemes(options, *model, scratch.path());
  if (!schemes.ok()) return schemes.error();
  const InterruptWatch interrupt;
  auto rows = eval::evaluate(
      *model, *contexts, *schemes, options.params,
      [&](size_t done) {
        fmt::print(stderr, "eval: {} of {} contexts (Ctrl-C: enough)\n", done, contexts->size());
      },
      interrupt.token());
  if (!rows.ok()) return rows.error();
  const auto& geometry = model->config();
  const uint64_t elements =
      uint64_t{options.params.context_tokens} * 2 * geometry.layers * geometry.kv_channels();
  if (!options.svg.empty()) {
    const std::string svg =
        eval::plot_svg(*rows, elements,
                       fmt::format("{}: {} contexts of {} tokens", model->name(),
                                   rows->front().samples.size(), options.params.context_tokens));
    Status written = manifests::write_file_atomically(options.svg, std::as_bytes(std::span(svg)));
    if (!written.ok()) return written;
  }
  const std::vector<eval::EqualKlRatio> ratios = equal_kl_ratios(*rows, elements);
  if (options.json) {
    fmt::print("{}\n", eval_json(*rows, ratios, elements).dump());
  } else {
    print_eval_table(*rows, ratios, elements);
  }
  return {};
}

}  // namespace

void add_eval_command(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand(
      "eval", "Bytes against quality on a model's own contexts: kvcast, CacheGen, KVTC-style");
  command->add_option("--model", options->model, "Model folder")->required();
  command->add_option("--text", options->text, "UTF-8 text that no profile was made from")
      ->required();
  command->add_option("--profile", options->profiles,
                      "Calibrated profile; repeat for several (first-chunk is always there)");
  command
      ->add_option("--schemes", options->schemes, "kvcast, exact, cachegen, per-token, kvtc-style")
      ->delimiter(',');
  command->add_option("--calibration-text", options->calibration_text,
                      "Text that kvtc-style is fitted on; without it, it is left out");
  command->add_option("--calibration-contexts", options->calibration_contexts)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--contexts", options->params.contexts, "Contexts, cut from the text")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--context-tokens", options->params.context_tokens, "Tokens of each")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  command->add_option("--continuation", options->params.continuation, "Tokens that are asked about")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command->add_option("--chunk-tokens", options->chunk_tokens, "Of kvcast")->capture_default_str();
  command
      ->add_option("--raise-last-chunk", options->raise_last_chunk,
                   "Also each profile with the last chunk this many levels above the others")
      ->capture_default_str();
  command->add_option("--threads", options->params.threads, "0: one per core")
      ->capture_default_str();
  command->add_option("--svg", options->svg, "Also draw bits against KL into this file");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer(
      "Everything a receiver fetches for a context counts, but for a profile that all contexts of "
      "the model share:\nthat is printed beside, and spread over 100 contexts.\n"
      "Example:\n"
      "  kvcast eval --model tests/data/pocket-lm --text unseen.txt --profile model.kvo "
      "--contexts 20 --svg eval.svg");
  command->callback([options, &exit_code] {
    if (const Status ran = run_eval(*options); !ran.ok()) exit_code = report(ran.error());
  });
}

}  // namespace kvcast::tools
