#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "manifests/bytes/little_endian.h"
#include "manifests/file/temporary.h"
#include "manifests/json/document.h"
#include "manifests/safetensors.h"
#include "manifests/safetensors/element.h"
#include "manifests/safetensors_writer.h"
#include "manifests/text/utf8.h"

namespace kvcast::manifests {
namespace {

using nlohmann::ordered_json;

struct Range {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// What lies where. `head` is the length and the header; ranges are from the start of the file.
struct Layout {
  std::string head;
  std::vector<Range> ranges;
  uint64_t file_bytes = 0;
};

std::string metadata_fault(const std::map<std::string, std::string>& metadata) {
  for (const auto& [key, value] : metadata) {
    if (!is_utf8(key) || !is_utf8(value)) {
      return fmt::format("metadata {}: not UTF-8, which the format demands", printable(key, 80));
    }
  }
  return {};
}

// Adds the tensors to `header`, with offsets from the end of the header.
std::string plan_tensors(std::span<const TensorPlan> tensors, ordered_json& header,
                         Layout& layout) {
  std::set<std::string_view> names = {"__metadata__"};
  for (const TensorPlan& tensor : tensors) {
    const auto fault = [&](std::string_view what) {
      return fmt::format("tensor {}: {}", printable(tensor.name, 80), what);
    };
    if (!is_utf8(tensor.name)) return fault("the name is not UTF-8");
    if (!names.insert(tensor.name).second) return fault("the name is taken");
    const std::optional<uint64_t> bytes = tensor_bytes(tensor.dtype, tensor.shape);
    if (!bytes || *bytes > INT64_MAX - layout.file_bytes || tensor.shape.size() > kMaxTensorDims) {
      return fault("unknown element type, or too large a shape");
    }
    const uint64_t end = layout.file_bytes + *bytes;
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {layout.file_bytes, end}}};
    layout.ranges.push_back({layout.file_bytes, *bytes});
    layout.file_bytes = end;
  }
  return {};
}

// What is wrong, or nothing.
std::string plan(const std::map<std::string, std::string>& metadata,
                 std::span<const TensorPlan> tensors, Layout& layout) {
  if (std::string fault = metadata_fault(metadata); !fault.empty()) return fault;
  ordered_json header = ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  if (std::string fault = plan_tensors(tensors, header, layout); !fault.empty()) return fault;
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data is aligned
  if (text.size() > kMaxSafetensorsHeaderBytes) {
    return fmt::format("a header of {} bytes, more than the limit of {}", text.size(),
                       kMaxSafetensorsHeaderBytes);
  }
  layout.head.resize(8);
  store_le(std::as_writable_bytes(std::span(layout.head)), 0, uint64_t{text.size()});
  layout.head += text;
  for (Range& range : layout.ranges) range.offset += layout.head.size();
  layout.file_bytes += layout.head.size();
  return {};
}

}  // namespace

struct SafetensorsWriter::State {
  TemporaryFile file;
  std::vector<Range> ranges;
};

SafetensorsWriter::SafetensorsWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
SafetensorsWriter::~SafetensorsWriter() = default;
SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&&) noexcept = default;
SafetensorsWriter& SafetensorsWriter::operator=(SafetensorsWriter&&) noexcept = default;

Result<SafetensorsWriter> SafetensorsWriter::create(
    const std::string& path, const std::map<std::string, std::string>& metadata,
    std::span<const TensorPlan> tensors) {
  Layout layout;
  if (const std::string fault = plan(metadata, tensors, layout); !fault.empty()) {
    return Error{ErrorKind::kUsage, fmt::format("{}: cannot be written: {}", path, fault)};
  }
  Result<TemporaryFile> file = TemporaryFile::create(path);
  if (!file.ok()) return file.error();
  // The full length at once, so that what is never written reads as zeros.
  if (Status grown = file->file().resize(layout.file_bytes); !grown.ok()) return grown.error();
  const auto head = std::as_bytes(std::span(layout.head));
  if (Status written = file->file().write(0, head); !written.ok()) return written.error();
  auto state = std::make_unique<State>(State{std::move(*file), std::move(layout.ranges)});
  return SafetensorsWriter(std::move(state));
}

size_t SafetensorsWriter::tensors() const {
  return state_->ranges.size();
}

uint64_t SafetensorsWriter::bytes(size_t tensor) const {
  return state_->ranges.at(tensor).bytes;
}

Status SafetensorsWriter::write(size_t tensor, uint64_t begin, std::span<const std::byte> from) {
  const Range& range = state_->ranges.at(tensor);
  const TemporaryFile& file = state_->file;
  if (begin > range.bytes || from.size() > range.bytes - begin) {
    return Error{ErrorKind::kUsage,
                 fmt::format("{}: {} bytes from byte {} of tensor {}, of {} bytes: past its end",
                             file.path(), from.size(), begin, tensor, range.bytes)};
  }
  return file.file().write(range.offset + begin, from);
}

Status SafetensorsWriter::commit() {
  return state_->file.commit();
}

Status write_safetensors(const std::string& path,
                         const std::map<std::string, std::string>& metadata,
                         std::span<const TensorToWrite> tensors) {
  std::vector<TensorPlan> plans;
  for (const TensorToWrite& tensor : tensors) {
    if (tensor_bytes(tensor.dtype, tensor.shape) != tensor.bytes.size()) {
      return Error{ErrorKind::kUsage,
                   fmt::format("{}: tensor {}: {} bytes given, type and shape say otherwise", path,
                               printable(tensor.name, 80), tensor.bytes.size())};
    }
    plans.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(path, metadata, plans);
  if (!writer.ok()) return writer.error();
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (Status written = writer->write(i, 0, tensors[i].bytes); !written.ok()) return written;
  }
  return writer->commit();
}

}  // namespace kvcast::manifests
