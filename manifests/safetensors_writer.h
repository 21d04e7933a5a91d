// Writes a safetensors file whose tensors arrive in any order and in pieces: memory is what the
// caller holds. https://huggingface.co/docs/safetensors
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "manifests/result.h"

namespace kvcast::manifests {

struct TensorPlan {
  std::string name, dtype;
  std::vector<uint64_t> shape;
};

// A temporary beside the final path; commit() makes it the file, destruction without one removes
// it. write() from any number of threads at once, on ranges that do not overlap; the rest from one.
class SafetensorsWriter {
 public:
  // Tensors lie in the file in the order given. Metadata and names must be UTF-8.
  static Result<SafetensorsWriter> create(const std::string& path,
                                          const std::map<std::string, std::string>& metadata,
                                          std::span<const TensorPlan> tensors);
  ~SafetensorsWriter();
  SafetensorsWriter(SafetensorsWriter&&) noexcept;
  SafetensorsWriter& operator=(SafetensorsWriter&&) noexcept;

  size_t tensors() const;
  uint64_t bytes(size_t tensor) const;

  // Bytes [begin, begin + from.size()) of a tensor, by its place in the list. A range may be
  // written again; one never written reads as zeros.
  Status write(size_t tensor, uint64_t begin, std::span<const std::byte> from);

  // Syncs, renames over the path, syncs the folder. Once; nothing may be written after it.
  Status commit();

 private:
  struct State;
  explicit SafetensorsWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvcast::manifests
