#include "kernels/cuda/decode_plan.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/cuda/plan_builder.h"

namespace kvcast::kernels {
namespace {

std::string describe(uint32_t word) {
  if (word & kDeviceBadState) return "a stream begins with a state below 65536";
  if (word & kDeviceBadEscape) return "an escaped value is too large";
  if (word & kDeviceEscapeCount) return "a stream's escapes are not as many as its entry says";
  return "a stream's words ran out or were left over, or a final state is not 65536: it is damaged "
         "or its tables are another profile's";
}

Fault in_section(size_t index, const Fault& fault) {
  return {"section " + std::to_string(index) + ": " + fault.what, fault.offset};
}

Checked<DecodePlan::Contents> make_contents(const DeviceProfile& profile, DType dtype,
                                            std::span<const SectionToDecode> sections,
                                            size_t planes_bytes, bool to_tensors) {
  if (is_fp8(dtype))
    return Fault{std::string("the device does not write ") + dtype_name(dtype) + " tensors"};
  if (planes_bytes % kDevicePlaneAlignment != 0)
    return Fault{"the block of planes is no multiple of 16 bytes long"};
  PlanBuilder builder(profile, dtype, planes_bytes, to_tensors);
  for (size_t i = 0; i < sections.size(); ++i) {
    if (Check check = builder.add(sections[i]); !check) return in_section(i, check.fault());
  }
  return builder.finish();
}

}  // namespace

DecodePlan::DecodePlan(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
DecodePlan::~DecodePlan() = default;
DecodePlan::DecodePlan(DecodePlan&&) noexcept = default;
DecodePlan& DecodePlan::operator=(DecodePlan&&) noexcept = default;

Checked<DecodePlan> DecodePlan::make(const DeviceProfile& profile, DType dtype,
                                     std::span<const SectionToDecode> sections,
                                     size_t planes_bytes) {
  auto contents = make_contents(profile, dtype, sections, planes_bytes, true);
  if (!contents) return contents.fault();
  return DecodePlan(std::make_unique<Contents>(std::move(*contents)));
}

Checked<DecodePlan> DecodePlan::make_coefficients(const DeviceProfile& profile,
                                                  std::span<const SectionToDecode> sections,
                                                  size_t planes_bytes) {
  auto contents = make_contents(profile, DType::kBf16, sections, planes_bytes, false);
  if (!contents) return contents.fault();
  return DecodePlan(std::make_unique<Contents>(std::move(*contents)));
}

size_t DecodePlan::sections() const {
  return contents_->coefficients.size();
}
size_t DecodePlan::planes_bytes() const {
  return contents_->planes_bytes;
}
size_t DecodePlan::descriptor_bytes() const {
  return contents_->descriptors.size();
}
size_t DecodePlan::scratch_bytes() const {
  const size_t end = contents_->descriptors_offset + contents_->descriptors.size();
  return (end + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment;
}
uint64_t DecodePlan::coefficients_offset(size_t section) const {
  return contents_->coefficients[section];
}

void DecodePlan::write_descriptors(std::span<std::byte> to) const {
  if (to.size() != descriptor_bytes())
    throw std::invalid_argument("not descriptor_bytes() bytes of room");
  std::copy(contents_->descriptors.begin(), contents_->descriptors.end(), to.begin());
}

Check DecodePlan::check_errors(std::span<const uint32_t> words) const {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] != 0) return Fault{"section " + std::to_string(i) + ": " + describe(words[i]), i};
  }
  return {};
}

}  // namespace kvcast::kernels
