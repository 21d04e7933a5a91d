// Engines' tensors as kernels find their way in them: layers, block tables, RoPE's angles.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "kernels/cuda/decode_tasks.h"
#include "kernels/cuda/image_writer.h"
#include "kernels/device_layout.h"
#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

// Scratch memory being dealt out, from its beginning.
class ScratchLayout {
 public:
  uint64_t reserve(uint64_t bytes);  // answers the offset, a multiple of kDeviceAlignment
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
};

class TensorTasks {
 public:
  TensorTasks(const Profile& profile, DType dtype) : profile_(profile), dtype_(dtype) {}

  // Fills what `task` says of the tensor. Fault: as DecodePlan::make says.
  Check add(const DeviceTensor& tensor, const SectionShape& shape, ImageWriter& descriptors,
            ScratchLayout& scratch, DecodeSection& task);
  const std::vector<RopeTask>& ropes() const { return ropes_; }

 private:
  uint64_t rope_table(const SectionShape& shape, uint8_t rope, ScratchLayout& scratch);
  uint64_t block_table(const DeviceTensor& tensor, uint32_t tokens, ImageWriter& descriptors,
                       DecodeSection& task);

  const Profile& profile_;
  DType dtype_;
  std::vector<RopeTask> ropes_;
  std::map<std::tuple<uint8_t, uint64_t, uint32_t>, uint64_t> rope_tables_;
  std::map<std::tuple<const int32_t*, uint64_t, uint64_t>, uint64_t> block_tables_;
};

}  // namespace kvcast::kernels
