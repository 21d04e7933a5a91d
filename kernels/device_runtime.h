// Memory, streams and events of one device: the part of a CUDA runtime that a host program needs to
// keep a GPU fed, small enough to have a double in host memory (emulated_device.h), so that what is
// built on it is tested where there is no device. Without the toolkit open_cuda_device() answers a
// fault (kernels/cuda/no_device.cc).
//
// Rules. The stream comes last; what takes one only enqueues, and what it points at must stay as it
// is until the stream has passed it. Nothing else synchronises, except where its comment says so.
// Any thread may call. A fault names the call and what the device answered; after one from an
// enqueued kernel every later call answers it too, as CUDA has it. Owners give back what they hold
// when they end, which waits for nothing: end them after their streams are idle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/device_decode.h"
#include "kernels/fault.h"

namespace kvcast::kernels {

using DeviceEvent = void*;  // a cudaEvent_t

struct DeviceInfo {
  std::string name;
  uint32_t multiprocessors = 0;
  uint64_t memory_bytes = 0;
};

class DeviceRuntime {
 public:
  enum class Resource { kMemory, kPinned, kStream, kEvent };
  struct Release {
    DeviceRuntime* runtime = nullptr;
    Resource resource = Resource::kMemory;
    void operator()(void* handle) const { runtime->release(resource, handle); }
  };
  using Owner = std::unique_ptr<void, Release>;  // get(): the pointer, or the handle
  static DeviceStream stream(const Owner& owner) { return static_cast<DeviceStream>(owner.get()); }

  virtual ~DeviceRuntime() = default;
  virtual const DeviceInfo& info() const = 0;

  // Device memory, aligned to 256 bytes; pinned host memory, which copies reach without staging.
  // May synchronise the device: allocate before work starts.
  virtual Checked<Owner> allocate(size_t bytes) = 0;
  virtual Checked<Owner> allocate_pinned(size_t bytes) = 0;
  virtual Checked<Owner>
  create_stream() = 0;  // of the least priority, so that generation goes first
  virtual Checked<Owner> create_event() = 0;  // without timing

  virtual Check copy_to_device(void* to_dev, const void* from, size_t bytes, DeviceStream) = 0;
  virtual Check copy_to_host(void* to, const void* from_dev, size_t bytes, DeviceStream) = 0;
  // `rows` rows of `row_bytes`, so far apart on either side. Strides are at least row_bytes.
  virtual Check copy_rows_to_device(void* to_dev, size_t to_stride, const void* from,
                                    size_t from_stride, size_t row_bytes, size_t rows,
                                    DeviceStream) = 0;
  virtual Check copy_rows_to_host(void* to, size_t to_stride, const void* from_dev,
                                  size_t from_stride, size_t row_bytes, size_t rows,
                                  DeviceStream) = 0;
  virtual Check fill(void* to_dev, uint8_t value, size_t bytes, DeviceStream) = 0;

  // The event passes when the stream has done what was enqueued before. wait(): the stream does
  // nothing more until then. An event never recorded has passed.
  virtual Check record(DeviceEvent event, DeviceStream) = 0;
  virtual Check wait(DeviceEvent event, DeviceStream) = 0;
  virtual Checked<bool> passed(DeviceEvent event) = 0;
  virtual Check synchronise(DeviceStream) = 0;  // blocks until the stream is idle

  // decode_on_device() on this device.
  virtual Check decode(const DecodePlan& plan, const DecodeMemory& memory, const DeviceShare& share,
                       DeviceStream) = 0;

 protected:
  virtual void release(Resource resource, void* handle) = 0;
};

// Fault: no device of that number, or no driver, and what to do about it.
Checked<std::unique_ptr<DeviceRuntime>> open_cuda_device(uint32_t ordinal);

}  // namespace kvcast::kernels
