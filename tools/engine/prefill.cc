#include "tools/engine/prefill.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "tools/engine/forward/block_pass.h"

namespace kvcast::engine {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

Status check(const ModelConfig& config, const KvCache& cache, uint64_t begin,
             std::span<const uint32_t> tokens) {
  if (tokens.empty()) return Error{ErrorKind::kUsage, "prefill: no tokens"};
  for (const auto& [limit, what] :
       {std::pair<uint64_t, const char*>{cache.capacity(), "the cache's capacity"},
        {config.max_positions, "the model's max_position_embeddings"}}) {
    if (begin > limit || tokens.size() > limit - begin) {
      return Error{ErrorKind::kUsage,
                   fmt::format("prefill: positions [{}, {} + {}) exceed {} of {}", begin, begin,
                               tokens.size(), what, limit)};
    }
  }
  if (cache.layers() != config.layers || cache.channels() != config.kv_channels()) {
    return Error{
        ErrorKind::kUsage,
        fmt::format("prefill: a cache of {} layers, {} channels; the model has {} and {}",
                    cache.layers(), cache.channels(), config.layers, config.kv_channels())};
  }
  const auto outside = std::find_if(tokens.begin(), tokens.end(),
                                    [&](uint32_t id) { return id >= config.vocabulary; });
  if (outside != tokens.end()) {
    return Error{
        ErrorKind::kCorrupt,
        fmt::format("prefill: token {} at position {}, the model's vocabulary has {}", *outside,
                    begin + static_cast<uint64_t>(outside - tokens.begin()), config.vocabulary)};
  }
  return {};
}

unsigned worker_count(unsigned asked, size_t block_tokens) {
  const unsigned threads = asked != 0 ? asked : std::max(1u, std::thread::hardware_concurrency());
  return std::min(threads, static_cast<unsigned>((block_tokens + kTileRows - 1) / kTileRows));
}

}  // namespace

Result<Prefill> prefill(const Model& model, KvCache& cache, uint64_t begin,
                        std::span<const uint32_t> tokens, const PrefillOptions& options) {
  const ModelConfig& config = model.config();
  if (Status status = check(config, cache, begin, tokens); !status.ok()) return status.error();
  const size_t most = std::min(tokens.size(), kBlockTokens);
  Workers workers(worker_count(options.threads, most));
  BlockPass pass(config, model.weights(), cache, workers, most);
  Prefill result;
  result.logits.resize((options.all_positions ? tokens.size() : 1) * config.vocabulary);
  while (result.tokens < tokens.size()) {
    const auto block =
        tokens.subspan(result.tokens, std::min(kBlockTokens, tokens.size() - result.tokens));
    pass.start(begin + result.tokens, block);
    for (uint32_t layer = 0; layer < config.layers; ++layer) {
      if (options.stop.stop_requested()) {
        result.stopped = true;
        result.logits.clear();
        return result;
      }
      pass.project_layer(layer);
      if (options.on_queries) options.on_queries(layer, pass.begin(), pass.queries());
      pass.finish_layer(layer);
    }
    const bool last = result.tokens + block.size() == tokens.size();
    if (options.all_positions) {
      pass.logits(0, result.logits.data() + result.tokens * config.vocabulary);
    } else if (last) {
      pass.logits(block.size() - 1, result.logits.data());
    }
    result.tokens += block.size();
    if (options.on_progress) options.on_progress(result.tokens);
  }
  return result;
}

uint32_t most_likely(std::span<const float> logits) {
  return static_cast<uint32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

Result<std::vector<uint32_t>> continue_greedily(const Model& model, KvCache& cache,
                                                uint64_t position, std::span<const float> logits,
                                                size_t count, const ContinueOptions& options) {
  const std::vector<uint32_t>& eos = model.config().eos;
  std::vector<float> next(logits.begin(), logits.end());
  std::vector<uint32_t> tokens;
  while (tokens.size() < count) {
    const uint32_t token = most_likely(next);
    if (options.stop_at_eos && std::find(eos.begin(), eos.end(), token) != eos.end()) break;
    tokens.push_back(token);
    if (tokens.size() == count) break;
    PrefillOptions step;
    step.threads = options.threads;
    step.stop = options.stop;
    Result<Prefill> run = prefill(model, cache, position++, {&token, 1}, step);
    if (!run.ok()) return run.error();
    if (run->stopped) break;
    next = std::move(run->logits);
  }
  return tokens;
}

}  // namespace kvcast::engine
