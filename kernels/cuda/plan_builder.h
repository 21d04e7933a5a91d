// Makes a DecodePlan's contents, section by section.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cuda/decode_plan.h"
#include "kernels/cuda/stream_tasks.h"
#include "kernels/cuda/tensor_tasks.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

class PlanBuilder {
 public:
  // `to_tensors`: or only to coefficients.
  PlanBuilder(const DeviceProfile& profile, DType dtype, size_t planes_bytes, bool to_tensors);

  // Fault: see DecodePlan::make.
  Check add(const SectionToDecode& section);
  DecodePlan::Contents finish();

 private:
  Check add_planes(const SectionToDecode& section, const SectionShape& shape, DecodeSection& task);
  Check add_destination(const SectionToDecode& section, const SectionShape& shape,
                        DecodeSection& task);
  void add_finish(const SectionShape& shape, const DecodeSection& task);
  Check check_place(const DevicePlane& plane) const;

  const DeviceProfile& profile_;
  DType dtype_;
  size_t planes_bytes_;
  bool to_tensors_;
  ScratchLayout scratch_;
  ImageWriter descriptors_;
  TensorTasks tensors_;
  StreamTasks streams_;
  std::vector<DecodeSection> sections_;
  std::vector<uint32_t> outlier_sections_, sink_sections_;
  std::vector<FinishTask> rows_, tiles_, elements_;
  uint32_t row_tiles_ = 0, tile_tiles_ = 0, element_tiles_ = 0;
};

}  // namespace kvcast::kernels
