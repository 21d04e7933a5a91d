// Prints what the engine computes, for tests/transformers_check.py:
//   engine_probe MODEL_DIR TEXT_FILE MAX_TOKENS GREEDY_TOKENS LOGITS_OUT
// One JSON object on stdout: "encoded" (ids of the whole text), "greedy" (ids after the first
// MAX_TOKENS, the model's first token included), "round_trip"; logits of every position go to
// LOGITS_OUT, fp32 [tokens][vocabulary].
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "manifests/file.h"
#include "tools/engine/prefill.h"

namespace {

using namespace kvcast;

template <typename T>
T value_or_exit(manifests::Result<T> result) {
  if (result.ok()) return std::move(*result);
  std::fprintf(stderr, "engine_probe: %s\n", result.error().message.c_str());
  std::exit(static_cast<int>(result.error().kind));
}

void probe(const std::string& folder, const std::string& text_path, size_t limit, size_t greedy,
           const std::string& out) {
  const engine::Model model = value_or_exit(engine::Model::load(folder));
  const auto bytes = value_or_exit(manifests::read_file(text_path, 1u << 30));
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::vector<uint32_t> encoded = value_or_exit(model.tokenizer().encode(text));
  std::vector<uint32_t> tokens;
  if (model.config().bos) tokens.push_back(*model.config().bos);
  tokens.insert(tokens.end(), encoded.begin(), encoded.end());
  tokens.resize(std::min(limit, tokens.size()));

  engine::KvCache cache(model.config(), tokens.size() + greedy);
  engine::PrefillOptions options;
  options.all_positions = true;
  const engine::Prefill run = value_or_exit(engine::prefill(model, cache, 0, tokens, options));
  const auto last = std::span(run.logits).last(model.config().vocabulary);
  engine::ContinueOptions continuing;
  continuing.stop_at_eos = false;
  const auto continued = value_or_exit(
      engine::continue_greedily(model, cache, tokens.size(), last, greedy, continuing));
  if (const auto written =
          manifests::write_file_atomically(out, std::as_bytes(std::span(run.logits)));
      !written.ok()) {
    std::fprintf(stderr, "engine_probe: %s\n", written.error().message.c_str());
    std::exit(3);
  }
  const nlohmann::json report = {{"encoded", encoded},
                                 {"greedy", continued},
                                 {"round_trip", model.tokenizer().decode(encoded) == text}};
  std::printf("%s\n", report.dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: engine_probe MODEL_DIR TEXT_FILE MAX_TOKENS GREEDY_TOKENS LOGITS_OUT\n");
    return 2;
  }
  try {
    probe(argv[1], argv[2], std::strtoul(argv[3], nullptr, 10), std::strtoul(argv[4], nullptr, 10),
          argv[5]);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "engine_probe: %s\n", fault.what());
    return 3;
  }
  return 0;
}
