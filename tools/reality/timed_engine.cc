#include "tools/reality/timed_engine.h"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

namespace kvcast::reality {

TimedEngine::TimedEngine(double tokens_per_s, double position_cost) {
  cost_.per_token_s = 1 / tokens_per_s;
  cost_.per_token_position_s = position_cost / tokens_per_s;
}

manifests::Result<player::RecomputeOutcome> TimedEngine::prefill(const player::RecomputeTask& task,
                                                                 std::stop_token stop) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto tokens = static_cast<double>(task.end - task.begin);
  const double middle = static_cast<double>(task.begin) + tokens / 2;
  const std::chrono::duration<double> needed(
      tokens * (cost_.per_token_s + cost_.per_token_position_s * middle));
  for (size_t i = 0; i < task.result.size(); ++i) {
    const auto side = static_cast<kernels::Side>(i % 2);
    const size_t row_bytes = task.geometry.channels(side) * kernels::dtype_bytes(task.dtype);
    std::memset(task.result[i].data, 0, (task.end - task.begin) * row_bytes);
  }
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_until(lock, stop, begin + std::chrono::duration_cast<Clock::duration>(needed),
                   [] { return false; });
  const std::chrono::duration<double> took = Clock::now() - begin;
  return player::RecomputeOutcome{stop.stop_requested(), took.count()};
}

}  // namespace kvcast::reality
