#include "kernels/emulated_device.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

namespace kvcast::kernels {
namespace {

class EmulatedDeviceTest : public testing::Test {
 protected:
  DeviceRuntime::Owner memory(EmulatedDevice& device, size_t bytes) {
    return std::move(*device.allocate(bytes));
  }
};

TEST_F(EmulatedDeviceTest, CopiesHappenWhenTheStreamGetsThere) {
  EmulatedDevice device({.deferred = true});
  const auto stream = std::move(*device.create_stream());
  const auto there_dev = memory(device, 4);
  std::array<char, 4> from = {'a', 'b', 'c', 'd'}, back = {};
  ASSERT_TRUE(
      device.copy_to_device(there_dev.get(), from.data(), 4, DeviceRuntime::stream(stream)));
  ASSERT_TRUE(device.copy_to_host(back.data(), there_dev.get(), 4, DeviceRuntime::stream(stream)));
  from[0] = 'z';  // too early: the copy has yet to read it
  EXPECT_EQ(back[0], 0);
  ASSERT_TRUE(device.synchronise(DeviceRuntime::stream(stream)));
  EXPECT_EQ(back, (std::array<char, 4>{'z', 'b', 'c', 'd'}));
}

TEST_F(EmulatedDeviceTest, StreamsWaitForEventsInEveryOrder) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    EmulatedDevice device({.deferred = true, .seed = seed});
    const auto first = std::move(*device.create_stream());
    const auto second = std::move(*device.create_stream());
    const auto event = std::move(*device.create_event());
    std::vector<int> order;
    EXPECT_TRUE(*device.passed(event.get()));
    ASSERT_TRUE(device.launch([&] { order.push_back(1); }, DeviceRuntime::stream(first)));
    ASSERT_TRUE(device.record(event.get(), DeviceRuntime::stream(first)));
    EXPECT_FALSE(*device.passed(event.get()));
    ASSERT_TRUE(device.wait(event.get(), DeviceRuntime::stream(second)));
    ASSERT_TRUE(device.launch([&] { order.push_back(2); }, DeviceRuntime::stream(second)));
    device.run_all();
    EXPECT_TRUE(*device.passed(event.get()));
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
  }
}

TEST_F(EmulatedDeviceTest, RowsKeepTheirStrides) {
  EmulatedDevice device;
  const auto stream = std::move(*device.create_stream());
  const auto there_dev = memory(device, 9);
  ASSERT_TRUE(device.fill(there_dev.get(), '.', 9, DeviceRuntime::stream(stream)));
  EXPECT_FALSE(device.copy_rows_to_device(there_dev.get(), 4, "ab-cd-ef", 3, 2, 3,
                                          DeviceRuntime::stream(stream)));
  ASSERT_TRUE(device.copy_rows_to_device(there_dev.get(), 4, "ab-cd-", 3, 2, 2,
                                         DeviceRuntime::stream(stream)));
  EXPECT_EQ(std::memcmp(there_dev.get(), "ab..cd...", 9), 0);
  char back[4];
  ASSERT_TRUE(
      device.copy_rows_to_host(back, 2, there_dev.get(), 4, 2, 2, DeviceRuntime::stream(stream)));
  EXPECT_EQ(std::memcmp(back, "abcd", 4), 0);
}

TEST_F(EmulatedDeviceTest, RefusesWhatIsNotItsMemory) {
  EmulatedDevice device;
  const auto stream = std::move(*device.create_stream());
  const auto there_dev = memory(device, 8);
  char host[16] = {};
  EXPECT_FALSE(device.copy_to_device(host, host, 8, DeviceRuntime::stream(stream)));
  EXPECT_FALSE(device.copy_to_device(there_dev.get(), host, 9, DeviceRuntime::stream(stream)));
  EXPECT_FALSE(device.fill(there_dev.get(), 0, 9, DeviceRuntime::stream(stream)));
  EXPECT_TRUE(device.is_device_memory(there_dev.get(), 8));
}

TEST_F(EmulatedDeviceTest, FailsTheCallItIsToldTo) {
  EmulatedDevice device;
  device.fail_call(2);
  EXPECT_TRUE(device.allocate(1));
  const auto failed = device.allocate_pinned(1);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.fault().what, "allocate_pinned: made to fail");
  EXPECT_TRUE(device.create_event());
  device.fail_call(1, true);
  EXPECT_FALSE(device.create_event());
  EXPECT_FALSE(device.create_stream());
}

TEST_F(EmulatedDeviceTest, CountsMemory) {
  EmulatedDevice device({.memory_bytes = 100});
  {
    const auto held = memory(device, 60);
    EXPECT_FALSE(device.allocate(41));
    EXPECT_EQ(device.memory_used(), 60u);
    EXPECT_EQ(device.owned(), 1u);
  }
  EXPECT_EQ(device.memory_used(), 0u);
  EXPECT_EQ(device.most_memory_used(), 60u);
  EXPECT_EQ(device.owned(), 0u);
}

TEST(CudaDevice, IsOpenedOrSaysWhatToDo) {
  const auto device = open_cuda_device(0);
  if (!device) {
    EXPECT_NE(device.fault().what.find("no CUDA device"), std::string::npos);
    EXPECT_NE(device.fault().what.find("decode on the CPU"), std::string::npos);
    GTEST_SKIP() << device.fault().what;
  }
  EXPECT_GT((*device)->info().multiprocessors, 0u);
  EXPECT_FALSE(open_cuda_device(1u << 20));
}

}  // namespace
}  // namespace kvcast::kernels
