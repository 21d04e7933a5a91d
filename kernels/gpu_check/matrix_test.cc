// The checker's matrix on the emulated device: the kernels' own source, and proof that the checker
// which runs on GPUs finds what it should.
#include "kernels/gpu_check/matrix.h"

#include <gtest/gtest.h>

#include "kernels/emulated_device.h"

namespace kvcast::kernels::gpu_check {
namespace {

void expect_sound(const CheckResult& result, uint64_t cases) {
  EXPECT_GE(result.cases, cases);
  EXPECT_EQ(result.failures, 0u) << result.first_failure;
}

TEST(CheckerMatrix, CoefficientsOnTheEmulatedDevice) {
  EmulatedDevice device;
  expect_sound(check_coefficients(device, 5, 11), 5);
}

TEST(CheckerMatrix, KvOnTheEmulatedDevice) {
  EmulatedDevice device;
  const CheckResult result = check_kv(device, 3, 12);
  expect_sound(result, 12);
  EXPECT_NE(result.note.find("differ"), std::string::npos);
}

TEST(CheckerMatrix, DamageOnTheEmulatedDevice) {
  EmulatedDevice device;
  const CheckResult result = check_damage(device, 60, 13);
  expect_sound(result, 60);
  EXPECT_EQ(result.note.find(" 0 by the device"), std::string::npos) << result.note;
}

// A device that decodes wrong is found out.
class WrongDevice final : public DeviceRuntime {
 public:
  const DeviceInfo& info() const override { return inner_.info(); }
  Checked<Owner> allocate(size_t bytes) override { return inner_.allocate(bytes); }
  Checked<Owner> allocate_pinned(size_t bytes) override { return inner_.allocate_pinned(bytes); }
  Checked<Owner> create_stream() override { return inner_.create_stream(); }
  Checked<Owner> create_event() override { return inner_.create_event(); }
  Check copy_to_device(void* to, const void* from, size_t bytes, DeviceStream s) override {
    return inner_.copy_to_device(to, from, bytes, s);
  }
  Check copy_to_host(void* to, const void* from, size_t bytes, DeviceStream s) override {
    Check copied = inner_.copy_to_host(to, from, bytes, s);
    if (bytes > 64) static_cast<std::byte*>(to)[bytes / 2] ^= std::byte{0x40};
    return copied;
  }
  Check copy_rows_to_device(void*, size_t, const void*, size_t, size_t, size_t,
                            DeviceStream) override {
    return Fault{"unused"};
  }
  Check copy_rows_to_host(void*, size_t, const void*, size_t, size_t, size_t,
                          DeviceStream) override {
    return Fault{"unused"};
  }
  Check fill(void* to, uint8_t value, size_t bytes, DeviceStream s) override {
    return inner_.fill(to, value, bytes, s);
  }
  Check record(DeviceEvent event, DeviceStream s) override { return inner_.record(event, s); }
  Check wait(DeviceEvent event, DeviceStream s) override { return inner_.wait(event, s); }
  Checked<bool> passed(DeviceEvent event) override { return inner_.passed(event); }
  Check synchronise(DeviceStream s) override { return inner_.synchronise(s); }
  Check decode(const DecodePlan& plan, const DecodeMemory& memory, const DeviceShare& share,
               DeviceStream s) override {
    return inner_.decode(plan, memory, share, s);
  }

 protected:
  void release(Resource, void*) override {}

 private:
  EmulatedDevice inner_;
};

TEST(CheckerMatrix, AFlippedBitIsFoundOut) {
  WrongDevice device;
  EXPECT_GT(check_coefficients(device, 1, 11).failures, 0u);
  EXPECT_GT(check_kv(device, 1, 12).failures, 0u);
  EXPECT_GT(check_damage(device, 75, 13).failures, 0u);
}

}  // namespace
}  // namespace kvcast::kernels::gpu_check
