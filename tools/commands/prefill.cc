#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernels/dtype.h"
#include "manifests/file.h"
#include "tools/commands/command.h"
#include "tools/commands/token_ids.h"
#include "tools/engine/model.h"
#include "tools/engine/moments.h"
#include "tools/engine/prefill.h"
#include "tools/engine/saved_cache.h"
#include "tools/engine/utf8.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr uint64_t kMaxInputBytes = 1u << 30;  // far beyond any model's context

struct PrefillParams {
  std::string model, text, tokens, out;
  std::string dtype = "BF16";
  std::string moments;
  uint64_t limit_tokens = 0;  // 0: all
  unsigned threads = 0;       // 0: one per core
  bool json = false;
};

struct Summary {
  uint64_t tokens = 0, raw_bytes = 0;
  double seconds = 0;  // of prefill alone
};

Result<std::string> read_text(const std::string& path) {
  Result<std::vector<std::byte>> bytes = manifests::read_file(path, kMaxInputBytes);
  if (!bytes.ok()) return bytes.error();
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

// Text begins with the model's first token, as its training texts did; ids are taken as they are.
Result<std::vector<uint32_t>> read_tokens(const PrefillParams& params, const engine::Model& model) {
  if (params.text.empty()) return read_token_ids(params.tokens);
  Result<std::string> input = read_text(params.text);
  if (!input.ok()) return input.error();
  if (const size_t valid = engine::valid_utf8_bytes(*input); valid != input->size()) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: not UTF-8 at byte {}; iconv converts other encodings",
                             params.text, valid)};
  }
  Result<std::vector<uint32_t>> encoded = model.tokenizer().encode(*input);
  if (!encoded.ok()) return encoded.error();
  std::vector<uint32_t> tokens;
  if (model.config().bos) tokens.push_back(*model.config().bos);
  tokens.insert(tokens.end(), encoded->begin(), encoded->end());
  return tokens;
}

Result<std::vector<uint32_t>> read_context(const PrefillParams& params,
                                           const engine::Model& model) {
  Result<std::vector<uint32_t>> tokens = read_tokens(params, model);
  if (!tokens.ok()) return tokens.error();
  if (params.limit_tokens != 0 && tokens->size() > params.limit_tokens) {
    tokens->resize(params.limit_tokens);
  }
  const std::string& source = params.text.empty() ? params.tokens : params.text;
  if (tokens->empty()) return Error{ErrorKind::kUsage, fmt::format("{}: no tokens", source)};
  if (const uint32_t most = model.config().max_positions; tokens->size() > most) {
    return Error{ErrorKind::kUsage,
                 fmt::format("{}: {} tokens, but the model was made for {}: pass --limit-tokens {}",
                             source, tokens->size(), most, most)};
  }
  return tokens;
}

// What the tokens say, for people: a character cut in two by --limit-tokens is left out, and so is
// text of ids that do not spell UTF-8.
std::string context_text(const engine::Model& model, std::span<const uint32_t> tokens) {
  if (!tokens.empty() && tokens.front() == model.config().bos) tokens = tokens.subspan(1);
  std::string text = model.tokenizer().decode(tokens);
  const size_t valid = engine::valid_utf8_bytes(text);
  constexpr size_t kLongestPartialCharacter = 3;
  text.resize(text.size() - valid <= kLongestPartialCharacter ? valid : 0);
  return text;
}

void show_progress(uint64_t done, uint64_t all, double seconds) {
  const double rate = static_cast<double>(done) / std::max(seconds, 1e-9);
  fmt::print(stderr, "prefill: {} of {} tokens, {:.0f} tokens/s, {:.0f} s left\n", done, all, rate,
             static_cast<double>(all - done) / rate);
}

Result<Summary> run_prefill(const PrefillParams& params) {
  const std::optional<kernels::DType> dtype = kernels::dtype_from_name(params.dtype);
  if (!dtype) return Error{ErrorKind::kUsage, fmt::format("--dtype {}: unknown", params.dtype)};
  Result<engine::Model> model = engine::Model::load(params.model);
  if (!model.ok()) return model.error();
  Result<std::vector<uint32_t>> tokens = read_context(params, *model);
  if (!tokens.ok()) return tokens.error();

  engine::KvCache cache(model->config(), tokens->size());
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  engine::PrefillOptions options;
  options.threads = params.threads;
  options.on_progress = [&](uint64_t done) { show_progress(done, tokens->size(), elapsed()); };
  std::optional<engine::Moments> moments;
  if (!params.moments.empty()) {
    moments.emplace(*model);
    options.on_queries = [&](uint32_t layer, uint64_t position, std::span<const float> queries) {
      moments->add_queries(layer, position, queries);
    };
  }
  Result<engine::Prefill> prefilled = engine::prefill(*model, cache, 0, *tokens, options);
  if (!prefilled.ok()) return prefilled.error();
  Summary summary;
  summary.seconds = elapsed();
  summary.tokens = tokens->size();
  Result<uint64_t> saved =
      engine::save_cache(params.out, *model, cache, *tokens, context_text(*model, *tokens), *dtype);
  if (!saved.ok()) return saved.error();
  summary.raw_bytes = *saved;
  if (moments) {
    if (Status written = moments->write(params.moments); !written.ok()) return written.error();
  }
  return summary;
}

int prefill_main(const PrefillParams& params) {
  Result<Summary> summary = run_prefill(params);
  if (!summary.ok()) return report(summary.error());
  if (params.json) {
    const nlohmann::json line = {{"tokens", summary->tokens},
                                 {"seconds", summary->seconds},
                                 {"raw_bytes", summary->raw_bytes},
                                 {"out", params.out}};
    fmt::print("{}\n", line.dump());
  } else {
    fmt::print("{}: {} tokens, {} bytes of keys and values, prefilled in {:.2f} s\n", params.out,
               summary->tokens, summary->raw_bytes, summary->seconds);
  }
  return 0;
}

}  // namespace

void add_prefill_command(CLI::App& app, int& exit_code) {
  const auto params = std::make_shared<PrefillParams>();
  CLI::App* command =
      app.add_subcommand("prefill", "Run a model over a text and keep its KV cache as a file");
  command
      ->add_option("--model", params->model,
                   "Folder with config.json, model.safetensors, tokenizer.json")
      ->required();
  auto* input = command->add_option_group("context");
  input->add_option("--text", params->text, "UTF-8 text; the model's first token is put in front");
  input->add_option("--tokens", params->tokens,
                    "Token ids, as a JSON list or separated by white space");
  input->require_option(1);
  command->add_option("--out", params->out, "KV file to write (safetensors)")->required();
  command->add_option("--dtype", params->dtype, "Element type of the file")
      ->transform(CLI::IsMember({"BF16", "F16", "F32", "F8_E4M3", "F8_E5M2"}, CLI::ignore_case))
      ->capture_default_str();
  command->add_option(
      "--moments", params->moments,
      "Also write second moments of queries and output projection, for calibration");
  command->add_option("--limit-tokens", params->limit_tokens, "Use the first N tokens only")
      ->check(CLI::PositiveNumber);
  command->add_option("--threads", params->threads, "Threads; default one per core")
      ->check(CLI::Range(1, 1024));
  command->add_flag("--json", params->json,
                    "Print one JSON object: tokens, seconds, raw_bytes, out");
  command->footer(
      "Examples:\n"
      "  kvcast prefill --model tests/data/pocket-lm --text story.txt --out story.safetensors\n"
      "  kvcast prefill --model tests/data/pocket-lm --tokens ids.json --out kv.safetensors "
      "--dtype f32 --json");
  command->callback([params, &exit_code] { exit_code = prefill_main(*params); });
}

}  // namespace kvcast::tools
