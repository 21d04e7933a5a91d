#include "kernels/cuda/emulated_encode.h"

#include <optional>

#include "kernels/cuda/emulated_decode.h"
#include "kernels/cuda/emulated_launcher.cuh"
#include "kernels/cuda/encode_launches.cuh"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kMaxBlocks = 3;

EmulatedMemory descriptors_of(const DeviceEncoding& encoding) {
  EmulatedMemory memory(encoding.descriptor_bytes());
  encoding.write_descriptors({memory.data(), memory.size()});
  return memory;
}

std::vector<std::byte> bytes_at(const EmulatedMemory& output, DeviceEncoding::Place place) {
  return {output.data() + place.offset, output.data() + place.offset + place.bytes};
}

}  // namespace

Checked<std::vector<EmulatedSection>> encode_emulated(const DeviceEncodeProfile& profile,
                                                      DType dtype,
                                                      std::span<const SectionToEncode> sections) {
  auto encoding = DeviceEncoding::make(profile, dtype, sections);
  if (!encoding) return encoding.fault();
  const EmulatedMemory profile_dev(profile.image());
  EmulatedMemory scratch(encoding->scratch_bytes());
  EmulatedLauncher launcher{kMaxBlocks};
  EncodeMemory memory;
  memory.profile_dev = profile_dev.data();
  memory.scratch_dev = scratch.data();

  EmulatedMemory quantise = descriptors_of(*encoding);
  memory.descriptors_dev = quantise.data();
  launch_quantise(encoding->contents(), memory, launcher);
  Check check = encoding->cut_streams(
      {scratch.data() + encoding->contents().report_offset, encoding->report_bytes()});
  if (!check) return check.fault();

  EmulatedMemory code = descriptors_of(*encoding), streams(encoding->streams_bytes());
  memory.descriptors_dev = code.data();
  memory.streams_dev = streams.data();
  launch_code(encoding->contents(), memory, launcher);
  check = encoding->place_sections({streams.data(), encoding->report_bytes()});
  if (!check) return check.fault();

  EmulatedMemory gather = descriptors_of(*encoding), output(encoding->output_bytes());
  memory.descriptors_dev = gather.data();
  memory.output_dev = output.data();
  launch_gather(encoding->contents(), memory, launcher);

  std::vector<EmulatedSection> encoded(sections.size());
  for (size_t s = 0; s < sections.size(); ++s) {
    const auto levels = encoding->squared_error(s);
    encoded[s].squared_error.assign(levels.begin(), levels.end());
    encoded[s].energy = encoding->energy(s);
    for (size_t plane = 0; plane < levels.size(); ++plane)
      encoded[s].planes.push_back(bytes_at(output, encoding->plane(s, plane)));
    encoded[s].sinks = bytes_at(output, encoding->sinks(s));
  }
  return encoded;
}

}  // namespace kvcast::kernels
