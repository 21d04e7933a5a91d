// Encoding on a CUDA device, from the engine's cache to sections: the bytes that encode_section()
// (kernels/plane.h) writes of nearest values. Values never pass through the host; what does is a
// few numbers a channel group, from which the host cuts streams. So there are three steps, and
// between them the caller waits for its stream, in its own way. Descriptors are of the step to
// come:
//
//     auto encoding = DeviceEncoding::make(profile, dtype, sections);
//     encoding->write_descriptors(pinned);                    // encoding->descriptor_bytes()
//     quantise_on_device(*encoding, memory, share, stream);   // fills memory.report
//     ... wait; encoding->cut_streams(report);
//     encoding->write_descriptors(pinned);
//     code_on_device(*encoding, memory, share, stream);       // fills memory.report again
//     ... wait; encoding->place_sections(report);
//     encoding->write_descriptors(pinned);
//     gather_on_device(*encoding, memory, share, stream);     // fills memory.output_dev
//
// None of the calls allocates device memory or waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/device_decode.h"

namespace kvcast::kernels {

// The source is read as DeviceTensor says; its bytes are not changed.
struct SectionToEncode {
  uint32_t group = 0;
  Side side = Side::kKey;
  TokenRange tokens;
  DeviceTensor source;
};

// A profile as the encoder's kernels read it. As DeviceProfile; memory beside that: 8 KiB a class
// and 24 KiB a class and pass.
class DeviceEncodeProfile {
 public:
  explicit DeviceEncodeProfile(const Profile& profile);
  ~DeviceEncodeProfile();
  const Profile& profile() const;
  std::span<const std::byte> image() const;
  struct Contents;  // kernels/cuda/encode_profile.h
  const Contents& contents() const { return *contents_; }

 private:
  std::unique_ptr<const Contents> contents_;
};

// Sections under way. One thread at a time. The profile must outlive it, and codes at most 2^31
// channel groups together.
class DeviceEncoding {
 public:
  // Fault: as DecodePlan::make, and more tokens or symbols than a section may have.
  static Checked<DeviceEncoding> make(const DeviceEncodeProfile& profile, DType dtype,
                                      std::span<const SectionToEncode> sections);
  ~DeviceEncoding();
  DeviceEncoding(DeviceEncoding&&) noexcept;

  // Of the step to come.
  size_t descriptor_bytes() const;
  void write_descriptors(std::span<std::byte> to) const;
  size_t report_bytes() const;

  // Multiples of kDeviceAlignment. Scratch is known from the beginning, and its contents must stay
  // from step to step; streams are known once they are cut, output once sections are placed.
  size_t scratch_bytes() const;
  size_t streams_bytes() const;
  size_t output_bytes() const;

  // Fault: a NaN or infinity, a coefficient that overflows fp32, a group that no class can code; as
  // encode_section() refuses them. The message begins with the section's index.
  Check cut_streams(std::span<const std::byte> report);
  Check place_sections(std::span<const std::byte> report);

  // After cut_streams(): as EncodedSection has them.
  std::span<const double> squared_error(size_t section) const;  // [level]
  double energy(size_t section) const;

  // After place_sections(): where in the output they are. Offsets are multiples of
  // kDevicePlaneAlignment.
  struct Place {
    uint64_t offset = 0, bytes = 0;
  };
  Place plane(size_t section, size_t plane) const;
  Place sinks(size_t section) const;  // the bytes of encode_sinks()

  struct Contents;  // kernels/cuda/encode_plan.h
  const Contents& contents() const { return *contents_; }

 private:
  explicit DeviceEncoding(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

// Device addresses are multiples of kDeviceAlignment; host memory is pinned, or calls wait for its
// copies. Each must stay until the stream has passed the steps that use it.
struct EncodeMemory {
  const std::byte* profile_dev = nullptr;  // DeviceEncodeProfile::image()
  std::byte* scratch_dev = nullptr;        // scratch_bytes(); all steps
  std::byte* descriptors_dev = nullptr;    // descriptor_bytes() of this step
  const std::byte* descriptors = nullptr;  // host: what write_descriptors() wrote for this step
  std::byte* streams_dev = nullptr;        // streams_bytes(); second and third step
  std::byte* output_dev = nullptr;         // output_bytes(); third step
  std::byte* report = nullptr;             // host: report_bytes(); first and second step
};

// Fault: as decode_on_device().
Check quantise_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                         const DeviceShare& share, DeviceStream stream);
Check code_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                     const DeviceShare& share, DeviceStream stream);
Check gather_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                       const DeviceShare& share, DeviceStream stream);

}  // namespace kvcast::kernels
