#include "player/c_api/callback_recompute.h"

#include <fmt/format.h>

#include <chrono>
#include <vector>

namespace kvcast::player {

std::optional<RecomputeCost> CallbackRecompute::cost() const {
  if (table_.per_call_s == 0 && table_.per_token_s == 0 && table_.per_token_position_s == 0) {
    return std::nullopt;
  }
  return RecomputeCost{table_.per_call_s, table_.per_token_s, table_.per_token_position_s};
}

manifests::Result<RecomputeOutcome> CallbackRecompute::prefill(const RecomputeTask& task,
                                                               std::stop_token stop) {
  std::vector<kvcast_const_tensor> prefix;
  for (const auto& view : task.prefix) prefix.push_back({view.data, view.token_stride_bytes});
  std::vector<kvcast_tensor> result;
  for (const auto& view : task.result) result.push_back({view.data, view.token_stride_bytes});
  kvcast_prefill told{};
  told.size = sizeof(told);
  told.tokens = task.tokens.data();
  told.begin = task.begin;
  told.end = task.end;
  told.layers = task.geometry.layers;
  told.key_heads = task.geometry.key_heads;
  told.key_dim = task.geometry.key_dim;
  told.value_heads = task.geometry.value_heads;
  told.value_dim = task.geometry.value_dim;
  told.dtype = static_cast<uint32_t>(task.dtype);
  told.prefix = prefix.data();
  told.result = result.data();
  told.stop = &stop;

  const auto begin = std::chrono::steady_clock::now();
  int32_t code = 0;
  {
    const std::stop_callback on_stop(stop, [this] {
      if (table_.cancel != nullptr) table_.cancel(table_.context);
    });
    code = table_.prefill(table_.context, &told);
  }
  RecomputeOutcome outcome;
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  outcome.cancelled = code != 0 && stop.stop_requested();
  if (code != 0 && !outcome.cancelled) {
    return manifests::Error{
        manifests::ErrorKind::kIo,
        fmt::format("the engine's prefill callback failed on tokens [{}, {}) with code {}; see its "
                    "own log",
                    task.begin, task.end, code)};
  }
  return outcome;
}

}  // namespace kvcast::player
