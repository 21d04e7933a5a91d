#include "tools/reality/timed_engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace kvcast::reality {
namespace {

struct Bed {
  std::vector<uint32_t> tokens = std::vector<uint32_t>(64, 1);
  std::vector<std::byte> memory = std::vector<std::byte>(64 * 4, std::byte{9});
  std::vector<kernels::MutableTensorView> result;
  player::RecomputeTask task;

  Bed() {
    task.geometry = kernels::Geometry{1, 1, 2, 1, 2};
    for (int side = 0; side < 2; ++side) {
      kernels::MutableTensorView view;
      view.data = memory.data() + 128 * side;
      view.token_stride_bytes = 4;
      result.push_back(view);
    }
    task.tokens = tokens;
    task.begin = 32;
    task.end = 64;
    task.result = result;
  }
};

TEST(TimedEngine, TakesTheTimeThatItsCostSays) {
  Bed bed;
  TimedEngine engine(1000, 0.01);
  const auto begin = std::chrono::steady_clock::now();
  const auto done = engine.prefill(bed.task, {});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const double expected_s = 32 * (1 + 0.01 * 48) / 1000;
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(done->cancelled);
  EXPECT_GE(done->seconds, expected_s - 1e-6);
  EXPECT_GE(took.count(), expected_s - 1e-6);
  EXPECT_NEAR(32 * (engine.cost()->per_token_s + engine.cost()->per_token_position_s * 48),
              expected_s, 1e-9);
  EXPECT_EQ(bed.memory, std::vector<std::byte>(64 * 4, std::byte{0}));
}

TEST(TimedEngine, StopsWhenTold) {
  Bed bed;
  TimedEngine engine(0.01, 0);  // nearly an hour
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  const auto done = engine.prefill(bed.task, stop.get_token());
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE(done->cancelled);
}

}  // namespace
}  // namespace kvcast::reality
