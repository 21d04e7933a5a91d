#include "tools/commands/play_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "tools/engine/prefill.h"

namespace kvcast::tools {
namespace {

using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

constexpr uint64_t kMaxWarmTokens = 16384;  // 32,768 bytes each for the pocket model's fp32 KV
constexpr uint64_t kProbeTokens = 128;
constexpr int kProbes = 3;  // the median counts

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

PlayEngine::PlayEngine(engine::Model model, unsigned threads)
    : model_(std::move(model)),
      threads_(threads),
      cache_(model_.config(), std::min<uint64_t>(model_.config().max_positions, kMaxWarmTokens)) {}

Status PlayEngine::reserve(uint64_t tokens) {
  if (tokens <= cache_.capacity()) return {};
  if (tokens > model_.config().max_positions) {
    return Error{ErrorKind::kUsage,
                 fmt::format("{} tokens are more than the {} positions {} was made for", tokens,
                             model_.config().max_positions, model_.name())};
  }
  cache_ = engine::KvCache(model_.config(), model_.config().max_positions);
  own_tokens_ = 0;
  return {};
}

Result<double> PlayEngine::time_prefill(uint64_t position, uint64_t tokens) {
  const std::vector<uint32_t> ids(tokens, 0);
  std::vector<double> seconds;
  for (int i = 0; i < kProbes; ++i) {
    engine::PrefillOptions options;
    options.threads = threads_;
    const double begin_s = now_s();
    const auto done = engine::prefill(model_, cache_, position, ids, options);
    if (!done) return done.error();
    seconds.push_back(now_s() - begin_s);
  }
  std::nth_element(seconds.begin(), seconds.begin() + kProbes / 2, seconds.end());
  return seconds[kProbes / 2];
}

// Three points give the three numbers: few tokens, many, and many far from the start.
Status PlayEngine::warm_up(uint64_t suffix_tokens) {
  const uint64_t few = std::max<uint64_t>(1, std::min<uint64_t>(suffix_tokens, kProbeTokens / 4));
  const uint64_t far = cache_.capacity() / 2;
  if (const auto first = time_prefill(0, kProbeTokens); !first) return first.error();
  const auto small = time_prefill(0, few);
  const auto near = time_prefill(0, kProbeTokens);
  const auto away = time_prefill(far, kProbeTokens);
  if (!small || !near || !away) return (!small ? small : !near ? near : away).error();
  const auto n = static_cast<double>(kProbeTokens), m = static_cast<double>(few);
  player::RecomputeCost cost;
  cost.per_token_position_s = std::max(0.0, *away - *near) / (n * static_cast<double>(far));
  cost.per_token_s = std::max(0.0, *near - *small) / (n - m);
  cost.per_call_s = std::max(0.0, *small - cost.per_token_s * m);
  cost_ = cost;

  std::vector<std::byte> rows(far * cache_.channels() * 2);
  const double begin_s = now_s();
  for (uint32_t layer = 0; layer < cache_.layers(); ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      if (auto taken = cache_.import_tokens(layer, side, kernels::DType::kBf16, 0, far, rows);
          !taken) {
        return taken;
      }
    }
  }
  import_s_per_token_ = (now_s() - begin_s) / static_cast<double>(far);
  return {};
}

double PlayEngine::first_token_ms(uint64_t context, uint64_t rest) const {
  if (!cost_) return 0;
  const auto n = static_cast<double>(rest), p = static_cast<double>(context);
  return 1e3 * (import_s_per_token_ * p + cost_->per_call_s + cost_->per_token_s * n +
                cost_->per_token_position_s * n * (p + n / 2));
}

Result<player::RecomputeOutcome> PlayEngine::prefill(const player::RecomputeTask& task,
                                                     std::stop_token stop) {
  const double begin_s = now_s();
  if (auto room = reserve(task.end); !room) return room.error();
  const auto row_bytes = [&](Side side) {
    return task.geometry.channels(side) * kernels::dtype_bytes(task.dtype);
  };
  const uint64_t known = std::min(own_tokens_, task.begin);
  for (size_t i = 0; i < task.prefix.size() && known < task.begin; ++i) {
    const auto side = static_cast<Side>(i % 2);
    const kernels::TensorView& view = task.prefix[i];
    for (uint64_t t = known; t < task.begin; ++t) {
      const std::span row(view.data + t * view.token_stride_bytes, row_bytes(side));
      const auto layer = static_cast<uint32_t>(i / 2);
      if (auto taken = cache_.import_tokens(layer, side, task.dtype, t, 1, row); !taken) {
        return taken.error();
      }
    }
  }
  engine::PrefillOptions options;
  options.threads = threads_;
  options.stop = stop;
  const auto tokens = task.tokens.subspan(task.begin, task.end - task.begin);
  const auto done = engine::prefill(model_, cache_, task.begin, tokens, options);
  own_tokens_ = known;
  if (!done) return done.error();
  if (done->stopped) return player::RecomputeOutcome{true, now_s() - begin_s};
  for (size_t i = 0; i < task.result.size(); ++i) {
    const auto side = static_cast<Side>(i % 2);
    const std::span rows(task.result[i].data, tokens.size() * row_bytes(side));
    if (auto given = cache_.export_tokens(static_cast<uint32_t>(i / 2), side, task.dtype,
                                          task.begin, tokens.size(), rows);
        !given) {
      return given.error();
    }
  }
  if (known == task.begin) own_tokens_ = task.end;
  return player::RecomputeOutcome{false, now_s() - begin_s};
}

Result<std::vector<float>> PlayEngine::first_token(const player::HostKvSink& sink, uint64_t tokens,
                                                   std::span<const uint32_t> rest) {
  if (auto room = reserve(tokens + rest.size()); !room) return room.error();
  for (uint32_t layer = 0; layer < sink.shape().geometry.layers && tokens > 0; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      const size_t bytes = tokens * sink.view(layer, side).token_stride_bytes;
      if (auto taken = cache_.import_tokens(layer, side, sink.shape().dtype, 0, tokens,
                                            sink.tensor(layer, side).first(bytes));
          !taken) {
        return taken.error();
      }
    }
  }
  engine::PrefillOptions options;
  options.threads = threads_;
  auto done = engine::prefill(model_, cache_, tokens, rest, options);
  if (!done) return done.error();
  return std::move(done->logits);
}

}  // namespace kvcast::tools
