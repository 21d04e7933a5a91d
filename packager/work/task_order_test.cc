#include "packager/work/task_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

namespace kvcast::packager {
namespace {

using manifests::Error;
using manifests::ErrorKind;

void pause_a_little(size_t task) {
  std::mt19937 random(static_cast<uint32_t>(task));
  std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
}

TEST(TaskOrder, AcceptsInOrderWhateverFinishesFirst) {
  TaskOrder order(200, {});
  std::vector<size_t> accepted;
  run_workers(7, order, [&] {
    while (const auto task = order.take()) {
      pause_a_little(*task);
      ASSERT_TRUE(order.enter(*task));
      accepted.push_back(*task);
      order.leave(*task);
    }
  });
  ASSERT_TRUE(order.result().ok());
  ASSERT_EQ(accepted.size(), 200u);
  for (size_t i = 0; i < accepted.size(); ++i) EXPECT_EQ(accepted[i], i);
}

TEST(TaskOrder, ReportsTheFirstOfSeveralFailures) {
  for (int round = 0; round < 20; ++round) {
    TaskOrder order(100, {});
    std::atomic<size_t> most_accepted = 0;
    run_workers(4, order, [&] {
      while (const auto task = order.take()) {
        pause_a_little(*task + 1000 * static_cast<size_t>(round));
        if (*task >= 40 && *task % 2 == 0) {
          return order.fail(*task, Error{ErrorKind::kIo, std::to_string(*task)});
        }
        if (!order.enter(*task)) return;
        most_accepted = *task;
        order.leave(*task);
      }
    });
    ASSERT_FALSE(order.result().ok());
    EXPECT_EQ(order.result().error().message, "40");
    EXPECT_EQ(most_accepted, 39u);
  }
}

TEST(TaskOrder, AFailureAfterItsTurnIsReported) {
  TaskOrder order(3, {});
  run_workers(2, order, [&] {
    while (const auto task = order.take()) {
      if (!order.enter(*task)) return;
      order.leave(*task);
      if (*task == 2) return order.fail(2, Error{ErrorKind::kIo, "late"});
    }
  });
  ASSERT_FALSE(order.result().ok());
  EXPECT_EQ(order.result().error().message, "late");
}

TEST(TaskOrder, StopsBetweenTasks) {
  std::stop_source stop;
  TaskOrder order(1000, stop.get_token());
  std::atomic<size_t> accepted = 0;
  run_workers(3, order, [&] {
    while (const auto task = order.take()) {
      if (!order.enter(*task)) return;
      if (++accepted == 10) stop.request_stop();
      order.leave(*task);
    }
  });
  ASSERT_FALSE(order.result().ok());
  EXPECT_LE(accepted, 12u);
}

TEST(TaskOrder, RethrowsAWorkersException) {
  TaskOrder order(50, {});
  run_workers(3, order, [&] {
    while (const auto task = order.take()) {
      if (*task == 5) throw std::logic_error("bug");
      if (!order.enter(*task)) return;
      order.leave(*task);
    }
  });
  EXPECT_THROW((void)order.result(), std::logic_error);
}

}  // namespace
}  // namespace kvcast::packager
