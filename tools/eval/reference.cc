#include "tools/eval/reference.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "manifests/kv_file.h"
#include "manifests/safetensors.h"
#include "tools/engine/comparison.h"
#include "tools/engine/prefill.h"
#include "tools/engine/saved_cache.h"

namespace kvcast::eval {
namespace {

using kernels::DType;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

// What a KV file of the context would hold.
Status round_to_bf16(engine::KvCache& cache, uint64_t tokens) {
  std::vector<std::byte> bytes(tokens * cache.channels() * 2);
  for (uint32_t layer = 0; layer < cache.layers(); ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      Status done = cache.export_tokens(layer, side, DType::kBf16, 0, tokens, bytes);
      if (done.ok()) done = cache.import_tokens(layer, side, DType::kBf16, 0, tokens, bytes);
      if (!done.ok()) return done;
    }
  }
  return {};
}

Result<std::vector<float>> logits_after(const engine::Model& model, engine::KvCache& cache,
                                        uint64_t begin, std::span<const uint32_t> continuation,
                                        unsigned threads) {
  engine::PrefillOptions options;
  options.threads = threads;
  options.all_positions = true;
  auto run = engine::prefill(model, cache, begin, continuation, options);
  if (!run.ok()) return run.error();
  return std::move(run->logits);
}

}  // namespace

Result<Reference> make_reference(const engine::Model& model, std::span<const uint32_t> tokens,
                                 uint64_t context_tokens, unsigned threads) {
  const auto context = tokens.first(context_tokens), rest = tokens.subspan(context_tokens);
  Reference reference{{context.begin(), context.end()},
                      {rest.begin(), rest.end()},
                      engine::KvCache(model.config(), tokens.size()),
                      {}};
  engine::PrefillOptions options;
  options.threads = threads;
  const auto prefilled = engine::prefill(model, reference.cache, 0, context, options);
  if (!prefilled.ok()) return prefilled.error();
  if (Status rounded = round_to_bf16(reference.cache, context_tokens); !rounded.ok()) {
    return rounded.error();
  }
  auto logits = logits_after(model, reference.cache, context_tokens, rest, threads);
  if (!logits.ok()) return logits.error();
  reference.logits = std::move(*logits);
  return reference;
}

Result<Reference> load_reference(const engine::Model& model, const std::string& path,
                                 uint64_t continuation, unsigned threads) {
  const auto file = manifests::SafetensorsFile::open(path);
  if (!file.ok()) return file.error();
  const auto info = manifests::describe_kv_file(*file);
  if (!info.ok()) return info.error();
  const std::vector<uint32_t>& ids = info->token_ids;
  if (ids.size() != info->tokens || continuation >= ids.size()) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: {} token ids for {} tokens; measuring with an engine needs all, "
                             "and more than the {} of the continuation",
                             path, ids.size(), info->tokens, continuation)};
  }
  const auto context = static_cast<std::ptrdiff_t>(ids.size() - continuation);
  Reference reference{{ids.begin(), ids.begin() + context},
                      {ids.begin() + context, ids.end()},
                      engine::KvCache(model.config(), ids.size()),
                      {}};
  const auto loaded = engine::load_cache(*file, model, reference.cache);
  if (!loaded.ok()) return loaded.error();
  auto logits = logits_after(model, reference.cache, reference.tokens.size(),
                             reference.continuation, threads);
  if (!logits.ok()) return logits.error();
  reference.logits = std::move(*logits);
  return reference;
}

Result<Verdict> judge(const engine::Model& model, const Reference& reference,
                      engine::KvCache& candidate, unsigned threads) {
  const auto logits =
      logits_after(model, candidate, reference.tokens.size(), reference.continuation, threads);
  if (!logits.ok()) return logits.error();
  const auto compared =
      engine::compare_distributions(reference.logits, *logits, model.config().vocabulary,
                                    std::span(reference.continuation).subspan(1));
  return Verdict{compared.mean_kl, compared.top1_agreement, std::log(compared.perplexity)};
}

}  // namespace kvcast::eval
