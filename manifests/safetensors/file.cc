#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "manifests/bytes/little_endian.h"
#include "manifests/file/descriptor.h"
#include "manifests/json/document.h"
#include "manifests/safetensors.h"

namespace kvcast::manifests {
namespace {

Result<SafetensorsHeader> read_header(const OpenFile& file, const std::string& path) {
  std::vector<std::byte> head(std::min<uint64_t>(file.bytes, 8));
  if (Status read = read_at(file.descriptor.get(), 0, head, path); !read.ok()) return read.error();
  if (head.size() == 8) {
    const auto header_bytes = load_le<uint64_t>(head, 0);
    if (header_bytes <= kMaxSafetensorsHeaderBytes && header_bytes <= file.bytes - 8) {
      head.resize(8 + header_bytes);
      const auto rest = std::span(head).subspan(8);
      if (Status read = read_at(file.descriptor.get(), 8, rest, path); !read.ok()) return read.error();
    }
  }
  return parse_safetensors(head, file.bytes, path);
}

// Up to four names that sort beside `name`.
std::vector<std::string> names_near(const std::map<std::string, TensorInfo>& tensors,
                                    const std::string& name) {
  std::vector<std::string> names;
  auto at = tensors.lower_bound(name);
  for (int back = 0; back < 2 && at != tensors.begin(); ++back) --at;
  for (; at != tensors.end() && names.size() < 4; ++at) names.push_back(printable(at->first, 60));
  return names;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  Result<OpenFile> opened = open_regular_file(path);
  if (!opened.ok()) return opened.error();
  Result<SafetensorsHeader> header = read_header(*opened, path);
  if (!header.ok()) return header.error();
  SafetensorsFile file;
  file.path_ = path;
  file.header_ = std::move(*header);
  file.descriptor_ = std::make_unique<Descriptor>(std::move(opened->descriptor));
  return file;
}

SafetensorsFile::SafetensorsFile() = default;
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;

Result<TensorInfo> SafetensorsFile::tensor(const std::string& name) const {
  const auto found = header_.tensors.find(name);
  if (found != header_.tensors.end()) return found->second;
  return Error{ErrorKind::kCorrupt,
               fmt::format("{}: no tensor {}; of its {} tensors these sort beside it: {}", path_,
                           printable(name, 80), header_.tensors.size(),
                           fmt::join(names_near(header_.tensors, name), ", "))};
}

Status SafetensorsFile::read(const TensorInfo& tensor, uint64_t begin,
                             std::span<std::byte> to) const {
  if (begin > tensor.bytes || to.size() > tensor.bytes - begin) {
    return Error{ErrorKind::kUsage,
                 fmt::format("{}: {} bytes from byte {} of a tensor of {}: past its end", path_,
                             to.size(), begin, tensor.bytes)};
  }
  return read_at(descriptor_->get(), tensor.offset + begin, to, path_);
}

}  // namespace kvcast::manifests
