// safetensors files: an 8-byte length, a JSON header, tensors. Reading maps names to byte ranges
// and reads on demand, so that memory is what the caller asks for.
// https://huggingface.co/docs/safetensors
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::manifests {

inline constexpr uint64_t kMaxSafetensorsHeaderBytes =
    100'000'000;  // the reference implementation's own limit

class Descriptor;

struct TensorInfo {
  std::string dtype;  // "F16", "BF16", "F32", ...
  std::vector<uint64_t> shape;
  uint64_t offset = 0;  // from the start of the file
  uint64_t bytes = 0;
};

struct SafetensorsHeader {
  std::map<std::string, TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
  uint64_t file_bytes = 0;
};

// Parses the first bytes of a file of `file_bytes`. Ranges are checked to lie inside the file, not
// to overlap, and to have the size that dtype and shape say.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> head, uint64_t file_bytes,
                                            std::string_view name);

// An open file. Reads are positional: any number of threads may read at once.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

  const std::string& path() const { return path_; }
  const SafetensorsHeader& header() const { return header_; }
  // The tensor, or an error that names the file and lists what is near.
  Result<TensorInfo> tensor(const std::string& name) const;
  // Bytes [begin, begin + to.size()) of the tensor.
  Status read(const TensorInfo& tensor, uint64_t begin, std::span<std::byte> to) const;

 private:
  SafetensorsFile();
  std::string path_;
  SafetensorsHeader header_;
  std::unique_ptr<Descriptor> descriptor_;
};

struct TensorToWrite {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  std::span<const std::byte> bytes;
};

// Writes a temporary beside `path`, syncs and renames it: the file is there whole or not at all.
Status write_safetensors(const std::string& path,
                         const std::map<std::string, std::string>& metadata,
                         std::span<const TensorToWrite> tensors);

}  // namespace kvcast::manifests
