// What every kernel of a decode is given.
#pragma once

#include "kernels/cuda/decode_tasks.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/image.h"
#include "kernels/device_decode.h"

namespace kvcast::kernels {
namespace {

struct DecodeArguments {
  const std::byte* profile;
  const std::byte* planes;
  uint64_t planes_bytes;
  const std::byte* descriptors;
  std::byte* scratch;
  uint32_t* errors;  // [section]
  TaskList<DecodeSection> sections;
  TaskList<StreamTask> streams;
  TaskList<GroupTask> groups;

  template <typename T>
  KVCAST_DEVICE const T* list(const TaskList<T>& tasks) const {
    return at<T>(descriptors, tasks.offset);
  }
  KVCAST_DEVICE const DecodeSection& section(uint32_t index) const { return list(sections)[index]; }
  KVCAST_DEVICE const SectionImage& image(const DecodeSection& section) const {
    return *at<SectionImage>(profile, section.image);
  }
  KVCAST_DEVICE const ClassImage& scale_class(uint32_t index) const {
    return at<ClassImage>(profile, at<ProfileImage>(profile, 0)->classes)[index];
  }
  KVCAST_DEVICE uint16_t* coefficients(const DecodeSection& section) const {
    return at<uint16_t>(scratch, section.coefficients);
  }
  KVCAST_DEVICE OutlierRecord* outliers(const DecodeSection& section) const {
    return at<OutlierRecord>(scratch, section.outliers);
  }
  KVCAST_DEVICE int32_t escaped_value(const DecodeSection& section, uint32_t index) const {
    if (section.escape_bytes == 2) return at<int16_t>(planes, section.escapes)[index];
    return at<int32_t>(planes, section.escapes)[index];
  }
};

}  // namespace
}  // namespace kvcast::kernels
