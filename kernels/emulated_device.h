// A device in host memory: what is enqueued on its streams runs as host code, at once or when told
// to, in any order that streams and events allow; any call can be made to fail. For tests of what
// is built on DeviceRuntime, and to see the device's path work where there is none.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>

#include "kernels/device_runtime.h"

namespace kvcast::kernels {

class EmulatedDevice final : public DeviceRuntime {
 public:
  struct Params {
    bool deferred = false;  // else a stream does what it is told before the call returns
    uint64_t memory_bytes = uint64_t{1} << 40;  // allocations beyond it fail
    uint32_t seed = 1;                          // of the order in which streams go on
  };
  explicit EmulatedDevice(const Params& params);
  EmulatedDevice() : EmulatedDevice(Params{}) {}
  ~EmulatedDevice() override;

  // Deferred: one thing at the head of some stream; false when none can go on. synchronise() also
  // makes streams go on, until the one it waits for is idle.
  bool step();
  void run_all();

  // The n-th fallible call from now on (1: the next) answers a fault, and where `for_good` all
  // later ones too.
  void fail_call(uint64_t n, bool for_good = false);
  uint64_t calls() const;  // fallible ones so far
  uint64_t memory_used() const;
  uint64_t most_memory_used() const;
  uint64_t pinned_used() const;
  size_t owned() const;  // streams, events and allocations that somebody still holds

  // A kernel: `work` runs when the stream gets to it.
  Check launch(std::function<void()> work, DeviceStream stream);
  bool is_device_memory(const void* pointer, size_t bytes) const;  // inside one allocation

  const DeviceInfo& info() const override { return info_; }
  Checked<Owner> allocate(size_t bytes) override;
  Checked<Owner> allocate_pinned(size_t bytes) override;
  Checked<Owner> create_stream() override;
  Checked<Owner> create_event() override;
  Check copy_to_device(void* to_dev, const void* from, size_t bytes, DeviceStream stream) override;
  Check copy_to_host(void* to, const void* from_dev, size_t bytes, DeviceStream stream) override;
  Check copy_rows_to_device(void* to_dev, size_t to_stride, const void* from, size_t from_stride,
                            size_t row_bytes, size_t rows, DeviceStream stream) override;
  Check copy_rows_to_host(void* to, size_t to_stride, const void* from_dev, size_t from_stride,
                          size_t row_bytes, size_t rows, DeviceStream stream) override;
  Check fill(void* to_dev, uint8_t value, size_t bytes, DeviceStream stream) override;
  Check record(DeviceEvent event, DeviceStream stream) override;
  Check wait(DeviceEvent event, DeviceStream stream) override;
  Checked<bool> passed(DeviceEvent event) override;
  Check synchronise(DeviceStream stream) override;
  Check decode(const DecodePlan& plan, const DecodeMemory& memory, const DeviceShare& share,
               DeviceStream stream) override;

 protected:
  void release(Resource resource, void* handle) override;

 private:
  struct Event {
    uint64_t recorded = 0, passed = 0;  // counts of record() calls
  };
  struct Item {
    std::function<void()> work;  // or:
    std::shared_ptr<Event> event;
    uint64_t count = 0;
    bool waits = false;  // for `event` to pass `count`; else makes it pass
  };
  struct Stream {
    std::deque<Item> items;
  };
  struct Allocation {
    std::unique_ptr<std::byte[]> storage;
    size_t bytes = 0;
    bool pinned = false;
  };

  std::optional<Fault> count_call(const char* name);
  Checked<Owner> allocate_from(size_t bytes, bool pinned, const char* name);
  Check copy_rows(const char* name, void* to, size_t to_stride, const void* from,
                  size_t from_stride, size_t row_bytes, size_t rows, const void* device_side,
                  size_t device_stride, DeviceStream stream);
  Check enqueue(Item item, DeviceStream stream);
  bool can_go_on(const Stream& stream) const;
  void run_head(Stream& stream);
  bool step_locked();
  bool in_one_allocation(const void* pointer, size_t bytes) const;

  const Params params_;
  const DeviceInfo info_;
  mutable std::recursive_mutex mutex_;
  std::mt19937 random_;
  uint64_t calls_ = 0, fail_at_ = 0;
  bool fail_for_good_ = false;
  uint64_t memory_used_ = 0, most_memory_used_ = 0, pinned_used_ = 0;
  std::map<void*, Allocation> allocations_;
  std::map<void*, std::unique_ptr<Stream>> streams_;
  std::map<void*, std::shared_ptr<Event>> events_;
};

}  // namespace kvcast::kernels
