#include "kernels/cuda/encode_plan.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/cuda/encode_profile.h"
#include "kernels/cuda/tensor_tasks.h"

namespace kvcast::kernels {
namespace {

Fault in_section(size_t index, const Fault& fault) {
  return {"section " + std::to_string(index) + ": " + fault.what, fault.offset};
}

}  // namespace

DeviceEncoding::DeviceEncoding(std::unique_ptr<Contents> contents)
    : contents_(std::move(contents)) {}
DeviceEncoding::~DeviceEncoding() = default;
DeviceEncoding::DeviceEncoding(DeviceEncoding&&) noexcept = default;

Checked<DeviceEncoding> DeviceEncoding::make(const DeviceEncodeProfile& profile, DType dtype,
                                             std::span<const SectionToEncode> sections) {
  if (is_fp8(dtype))
    return Fault{std::string("the device does not read ") + dtype_name(dtype) + " tensors"};
  auto contents = std::make_unique<Contents>();
  contents->profile = &profile;
  contents->dtype = dtype;
  TensorTasks tensors(profile.profile(), dtype);
  ScratchLayout scratch;
  for (size_t i = 0; i < sections.size(); ++i) {
    if (Check check = add_section(sections[i], tensors, scratch, *contents); !check)
      return in_section(i, check.fault());
  }
  prepare_quantising(tensors, scratch, *contents);
  return DeviceEncoding(std::move(contents));
}

size_t DeviceEncoding::descriptor_bytes() const {
  return contents_->descriptors.size();
}
void DeviceEncoding::write_descriptors(std::span<std::byte> to) const {
  if (to.size() != descriptor_bytes())
    throw std::invalid_argument("not descriptor_bytes() bytes of room");
  std::copy(contents_->descriptors.begin(), contents_->descriptors.end(), to.begin());
}
size_t DeviceEncoding::report_bytes() const {
  return contents_->report_bytes;
}
size_t DeviceEncoding::scratch_bytes() const {
  return contents_->scratch_bytes;
}
size_t DeviceEncoding::streams_bytes() const {
  return contents_->streams_bytes;
}
size_t DeviceEncoding::output_bytes() const {
  return contents_->output_bytes;
}

Check DeviceEncoding::cut_streams(std::span<const std::byte> report) {
  if (report.size() != report_bytes()) throw std::invalid_argument("not report_bytes() bytes");
  if (Check check = read_group_reports(report, *contents_); !check) return check;
  prepare_coding(*contents_);
  return {};
}

Check DeviceEncoding::place_sections(std::span<const std::byte> report) {
  if (report.size() != report_bytes()) throw std::invalid_argument("not report_bytes() bytes");
  return prepare_gathering(report, *contents_);
}

std::span<const double> DeviceEncoding::squared_error(size_t section) const {
  return contents_->sections[section].squared_error;
}
double DeviceEncoding::energy(size_t section) const {
  return contents_->sections[section].energy;
}
DeviceEncoding::Place DeviceEncoding::plane(size_t section, size_t plane) const {
  return contents_->sections[section].planes[plane];
}
DeviceEncoding::Place DeviceEncoding::sinks(size_t section) const {
  return contents_->sections[section].sinks;
}

Check add_section(const SectionToEncode& section, TensorTasks& tensors, ScratchLayout& scratch,
                  DeviceEncoding::Contents& contents) {
  const DeviceEncodeProfile::Contents& profile = contents.profile->contents();
  const auto shape =
      shape_of_section(contents.profile->profile(), section.group, section.side, section.tokens);
  if (!shape) return shape.fault();
  SectionEncoding encoding{};
  encoding.shape = *shape;
  EncodeSection& task = encoding.task;
  task.place.image = profile.device.section_offset(section.group, section.side);
  task.place.tokens = shape->coded_tokens;
  task.place.row = shape->coefficients;
  task.place.sink_tokens = shape->sinks;
  Check check = tensors.add(section.source, *shape, contents.tensors, scratch, task.place);
  if (!check) return check;
  const SectionCodec& codec = *shape->codec;
  task.block_count = static_cast<uint32_t>(codec.blocks.size());
  task.blocks = profile.blocks[2 * section.group + static_cast<uint32_t>(section.side)];
  const uint64_t tokens = shape->coded_tokens;
  if (task.block_count > 0) task.channels = scratch.reserve(tokens * shape->width * sizeof(float));
  task.values = scratch.reserve(tokens * shape->coefficients * sizeof(float));
  task.levels = static_cast<uint32_t>(codec.drop_bits.size());
  task.passes = codec.drop_bits[0];
  std::copy(codec.drop_bits.begin(), codec.drop_bits.end(), task.drop_bits);
  contents.sections.push_back(std::move(encoding));
  return {};
}

}  // namespace kvcast::kernels
