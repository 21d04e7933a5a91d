// What a DeviceEncoding holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cuda/encode_tasks.h"
#include "kernels/cuda/image_writer.h"
#include "kernels/device_encode.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

// The streams of a section's base or pass, once cut.
struct EncodePart {
  uint32_t first_stream = 0, streams = 0;  // EncodeStreamTask
};

struct SectionEncoding {
  SectionShape shape;
  EncodeSection task;
  uint32_t first_group = 0;  // GroupReport
  std::vector<EncodePart> parts;
  uint64_t escapes = 0;  // streams
  uint32_t escape_count = 0;
  std::vector<double> squared_error;
  double energy = 0;
  std::vector<DeviceEncoding::Place> planes;
  DeviceEncoding::Place sinks;
};

struct DeviceEncoding::Contents {
  const DeviceEncodeProfile* profile = nullptr;
  DType dtype = DType::kBf16;
  EncodeTasks tasks{};
  std::vector<SectionEncoding> sections;
  ImageWriter tensors;                 // descriptors that every step has
  std::vector<std::byte> descriptors;  // of the step to come
  uint64_t scratch_bytes = 0, streams_bytes = 0, output_bytes = 0;
  uint64_t report_offset = 0, report_bytes = 0;  // of the step to come: scratch, or streams
  std::vector<GroupReport> reports;
  std::vector<EncodeStreamTask> streams;
  std::vector<EncodeGroupTask> stream_groups;
};

// The steps' host side. Faults: see DeviceEncoding.
Check add_section(const SectionToEncode& section, class TensorTasks& tensors,
                  class ScratchLayout& scratch, DeviceEncoding::Contents& contents);
void prepare_quantising(const TensorTasks& tensors, ScratchLayout& scratch,
                        DeviceEncoding::Contents& contents);
Check read_group_reports(std::span<const std::byte> report, DeviceEncoding::Contents& contents);
void prepare_coding(DeviceEncoding::Contents& contents);
Check prepare_gathering(std::span<const std::byte> report, DeviceEncoding::Contents& contents);

}  // namespace kvcast::kernels
