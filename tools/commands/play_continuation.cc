#include "tools/commands/play_continuation.h"

#include <fmt/format.h>

#include "manifests/safetensors.h"
#include "tools/engine/comparison.h"
#include "tools/engine/prefill.h"
#include "tools/engine/saved_cache.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr size_t kCompareTokens = 64;

// The reference's own continuation is fed to both caches, so that both are asked the same
// questions.
Result<engine::Comparison> compare(PlayEngine& player, const FirstToken& first,
                                   const std::string& path) {
  const auto file = manifests::SafetensorsFile::open(path);
  if (!file) return file.error();
  const engine::Model& model = player.model();
  engine::KvCache reference(model.config(), player.cache().capacity());
  const auto tokens = engine::load_cache(*file, model, reference);
  if (!tokens) return tokens.error();
  if (*tokens < first.begin) {
    return Error{ErrorKind::kUsage, fmt::format("{}: {} tokens, the play had {}: it is not what "
                                                "was packed",
                                                path, *tokens, first.begin)};
  }
  engine::PrefillOptions options;
  options.threads = player.threads();
  const auto prefilled = engine::prefill(model, reference, first.begin, first.rest, options);
  if (!prefilled) return prefilled.error();
  const uint64_t position = first.begin + first.rest.size();
  engine::ContinueOptions going_on;
  going_on.threads = player.threads();
  going_on.stop_at_eos = false;
  const auto said = engine::continue_greedily(model, reference, position, prefilled->logits,
                                              kCompareTokens, going_on);
  if (!said) return said.error();
  std::vector<uint32_t> asked{first.rest.back()};
  asked.insert(asked.end(), said->begin(), said->end());
  asked.pop_back();
  return engine::compare_caches(model, reference, player.cache(), position - 1, asked,
                                player.threads());
}

}  // namespace

Result<Continuation> continue_play(PlayEngine& player, const FirstToken& first, uint32_t count,
                                   const std::string& reference) {
  const uint64_t position = first.begin + first.rest.size();
  const uint64_t last =
      position + std::max<uint64_t>(count, reference.empty() ? 0 : kCompareTokens);
  if (last > player.cache().capacity()) {
    return Error{ErrorKind::kUsage,
                 fmt::format("{} tokens of context and {} more do not fit in the {} positions of "
                             "the model",
                             position, last - position, player.cache().capacity())};
  }
  Continuation result;
  if (count > 0) {
    engine::ContinueOptions options;
    options.threads = player.threads();
    const auto said = engine::continue_greedily(player.model(), player.cache(), position,
                                                first.logits, count, options);
    if (!said) return said.error();
    result.text = player.model().tokenizer().decode(*said);
  }
  if (!reference.empty()) {
    const auto compared = compare(player, first, reference);
    if (!compared) return compared.error();
    result.mean_kl = compared->mean_kl;
    result.top1_agreement = compared->top1_agreement;
  }
  return result;
}

}  // namespace kvcast::tools
