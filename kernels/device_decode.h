// Decoding on a CUDA device, straight into the engine's cache: kernels/plane_format.md, section 2.
// Same coefficients as kernels/plane.h bit for bit; within 1 ulp of it after the transform.
//
// A plan is made on the host from the sections' bytes: everything that can be checked is checked
// there. Then decode_on_device() enqueues one copy and a few launches for all sections of the plan,
// whatever chunks they are of. It allocates nothing and waits for nothing: memory and stream are
// the caller's. Compressed planes lie in device memory, where they stay for as long as the caller
// likes, so that a later plan of more planes decodes them again.
//
//     DeviceProfile profile(model);                        // image() to the device, once
//     auto plan = DecodePlan::make(profile, DType::kBf16, sections, planes_bytes);
//     plan->write_descriptors(pinned);                     // plan->descriptor_bytes()
//     decode_on_device(*plan, memory, {}, stream);         // memory.scratch_dev:
//     plan->scratch_bytes()
//     // when the stream has got there: plan->check_errors(the errors, copied to the host)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/device_layout.h"
#include "kernels/device_profile.h"
#include "kernels/fault.h"
#include "kernels/geometry.h"

namespace kvcast::kernels {

inline constexpr size_t kDevicePlaneAlignment = 16;

// One plane (or the sinks) of one section: its bytes on the host, which the plan reads headers
// from, and where the same bytes are in the block of device memory that holds all compressed
// planes.
struct DevicePlane {
  std::span<const std::byte> bytes;
  uint64_t offset = 0;  // a multiple of kDevicePlaneAlignment
};

struct SectionToDecode {
  uint32_t group = 0;
  Side side = Side::kKey;
  TokenRange tokens;
  std::span<const DevicePlane> planes;  // 0..n
  DevicePlane sinks;                    // empty unless the chunk holds sink tokens
  DeviceTensor destination;
};

// Bits of a section's error word. 0: decoded.
enum DeviceError : uint32_t {
  kDeviceBadState = 1,     // a stream begins with a state below 2^16
  kDeviceBadEnd = 2,       // a stream's words ran out, were left over, or its states ended wrong
  kDeviceBadEscape = 4,    // an escaped value is too large
  kDeviceEscapeCount = 8,  // a stream has more or fewer escapes than its entry says
};

// What decoding some sections takes. Holds no device memory. Immutable once made; needs neither the
// sections' bytes nor the block tables afterwards, but the DeviceProfile.
class DecodePlan {
 public:
  // `planes_bytes`: size of the block of compressed planes, a multiple of kDevicePlaneAlignment.
  // Fault: what read_planes() would find wrong with a section; a plane outside the block; a tensor
  // that ends before the last token, a physical block outside it, a misaligned address or stride; a
  // dtype other than F16, BF16 and F32. The message begins with the section's index in `sections`.
  static Checked<DecodePlan> make(const DeviceProfile& profile, DType dtype,
                                  std::span<const SectionToDecode> sections, size_t planes_bytes);
  // The same up to the coefficients: bf16, [section][coded token][coefficient], to the scratch's
  // coefficients(). No destinations, no sinks.
  static Checked<DecodePlan> make_coefficients(const DeviceProfile& profile,
                                               std::span<const SectionToDecode> sections,
                                               size_t planes_bytes);
  ~DecodePlan();
  DecodePlan(DecodePlan&&) noexcept;
  DecodePlan& operator=(DecodePlan&&) noexcept;

  size_t sections() const;
  size_t planes_bytes() const;
  size_t descriptor_bytes() const;
  size_t scratch_bytes() const;  // descriptors' copy included; a multiple of kDeviceAlignment
  uint64_t coefficients_offset(size_t section) const;  // in the scratch, bytes

  void write_descriptors(std::span<std::byte> to) const;  // descriptor_bytes()

  // `words`: [sections()], as the kernels left them. Fault: the first section that is corrupt, its
  // index in `offset`.
  Check check_errors(std::span<const uint32_t> words) const;

  struct Contents;  // kernels/cuda/decode_plan.h
  const Contents& contents() const { return *contents_; }

 private:
  explicit DecodePlan(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

// All device addresses are multiples of kDeviceAlignment, on the current device. Everything must
// stay as it is until the stream has passed the call; destinations are written by it.
struct DecodeMemory {
  const std::byte* profile_dev = nullptr;  // DeviceProfile::image()
  const std::byte* planes_dev = nullptr;   // plan.planes_bytes()
  std::byte* scratch_dev = nullptr;        // plan.scratch_bytes(); contents do not matter
  const std::byte* descriptors = nullptr;  // write_descriptors(): host memory. Pinned, or the
                                           // call waits for the copy
  uint32_t* errors_dev = nullptr;          // [plan.sections()], which the call clears first. Any
                                           // alignment of uint32_t
};

struct DeviceShare {
  uint32_t max_sms = 0;  // at most as many blocks as this many multiprocessors hold; 0: no limit
};

// Enqueues the plan's work on `stream`. A section whose word is not 0 in the end was corrupt: of
// its destination's tokens some may be as they were, others hold garbage; nothing outside was
// touched. Fault: a missing or misaligned address; a launch that CUDA refuses; no device, or built
// without CUDA.
Check decode_on_device(const DecodePlan& plan, const DecodeMemory& memory, const DeviceShare& share,
                       DeviceStream stream);

}  // namespace kvcast::kernels
