#include "tools/engine/forward/workers.h"

#include <gtest/gtest.h>

#include <atomic>

namespace kvcast::engine {
namespace {

TEST(Workers, RunEveryTaskOnce) {
  for (const unsigned threads : {1u, 2u, 7u}) {
    Workers workers(threads);
    EXPECT_EQ(workers.count(), threads);
    for (size_t tasks = 0; tasks < 40; ++tasks) {
      std::vector<std::atomic<int>> runs(tasks);
      std::atomic<bool> known_worker = true;
      workers.run(tasks, [&](size_t task, unsigned worker) {
        ++runs[task];
        if (worker >= threads) known_worker = false;
      });
      for (const auto& count : runs) EXPECT_EQ(count, 1);
      EXPECT_TRUE(known_worker);
    }
  }
}

}  // namespace
}  // namespace kvcast::engine
