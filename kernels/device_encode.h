// Encoding on a CUDA device, from the engine's cache to sections: the bytes that encode_section()
// (kernels/plane.h) writes. Values never pass through the host; what does is a few numbers a
// channel group, from which the host cuts streams. So there are three steps, and between them the
// caller waits for its stream, in its own way:
//
//     auto encoding = DeviceEncoding::make(profile, dtype, sections);
//     encoding->write_descriptors(pinned);           // encoding->descriptor_bytes()
//     quantise_on_device(*encoding, memory, share, stream);     // fills memory.report
//     ... wait; encoding->cut_streams(report);       // then descriptors again
//     code_on_device(*encoding, memory, share, stream);         // fills memory.report again
//     ... wait; encoding->place_sections(report);    // sizes are known: section_bytes(i, plane)
//     gather_on_device(*encoding, memory, sections_dev, stream);
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

// A profile as the encoder's kernels read it, beside the decoder's. As DeviceProfile.
class DeviceEncodeProfile {
 public:
  explicit DeviceEncodeProfile(const Profile& profile);
  ~DeviceEncodeProfile();
  const Profile& profile() const;
  std::span<const std::byte> image() const;
  struct Contents;  // kernels/cuda/encode_plan.h
  const Contents& contents() const { return *contents_; }

 private:
  std::unique_ptr<Contents> contents_;
};

// Sections under way. One thread at a time. The profile must outlive it.
class DeviceEncoding {
 public:
  // Fault: as DecodePlan::make, and more tokens or symbols than a section may have.
  static Checked<DeviceEncoding> make(const DeviceEncodeProfile& profile, DType dtype,
                                      std::span<const SectionToEncode> sections);
  ~DeviceEncoding();
  DeviceEncoding(DeviceEncoding&&) noexcept;

  // Of the step to come: they change with cut_streams() and place_sections().
  size_t descriptor_bytes() const;
  void write_descriptors(std::span<std::byte> to) const;
  size_t scratch_bytes() const;  // of all steps; its contents must stay between them
  size_t report_bytes() const;   // what the step leaves in memory.report

  // Fault: a NaN or infinity, a coefficient that overflows fp32, a group that no class can code; as
  // encode_section(), the message begins with the section's index.
  Check cut_streams(std::span<const std::byte> report);
  Check place_sections(std::span<const std::byte> report);

  // After place_sections(). Sections' planes lie one after the other, each at a multiple of
  // kDevicePlaneAlignment, in output_bytes() of device memory.
  size_t output_bytes() const;
  DevicePlane plane(size_t section,
                    size_t plane) const;  // bytes.data() is nullptr: offset and size

  struct Contents;
  const Contents& contents() const { return *contents_; }

 private:
  explicit DeviceEncoding(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

struct EncodeMemory {
  const std::byte* profile_dev = nullptr;  // DeviceEncodeProfile::image()
  std::byte* scratch_dev = nullptr;        // scratch_bytes()
  const std::byte* descriptors = nullptr;  // of this step: host memory, pinned
  std::byte* report = nullptr;             // report_bytes(): host memory, pinned
};

Check quantise_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                         const DeviceShare& share, DeviceStream stream);
Check code_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                     const DeviceShare& share, DeviceStream stream);
Check gather_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                       std::byte* output_dev, const DeviceShare& share, DeviceStream stream);

}  // namespace kvcast::kernels
