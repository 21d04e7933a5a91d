#include <fmt/format.h>

#include <algorithm>

#include "manifests/bytes/little_endian.h"
#include "manifests/json/document.h"
#include "manifests/json/node.h"
#include "manifests/safetensors.h"
#include "manifests/safetensors/element.h"

namespace kvcast::manifests {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr size_t kMaxHeaderValues = 4u << 20;  // about half a million tensors

// Where the tensors' bytes lie in the file.
struct Data {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

std::vector<uint64_t> read_shape(const JsonNode& node) {
  std::vector<uint64_t> shape;
  for (const JsonNode& dim : node.elements(0, kMaxTensorDims)) {
    shape.push_back(dim.integer(0, INT64_MAX));
  }
  return shape;
}

TensorInfo read_tensor(const JsonNode& node, const Data& data) {
  TensorInfo tensor;
  tensor.dtype = node.member("dtype").string(1, 16);
  tensor.shape = read_shape(node.member("shape"));
  const JsonNode range = node.member("data_offsets");
  const std::vector<JsonNode> ends = range.elements(2, 2);
  if (ends.size() != 2) return tensor;
  const uint64_t end = ends[1].integer(0, data.bytes);
  const uint64_t begin = ends[0].integer(0, end);
  tensor.offset = data.offset + begin;
  tensor.bytes = end - begin;
  const std::optional<uint64_t> expected = tensor_bytes(tensor.dtype, tensor.shape);
  if (!expected) {
    node.fail(fmt::format("element type {} is unknown, or the shape is too large",
                          printable(tensor.dtype, 16)));
  } else if (*expected != tensor.bytes) {
    range.fail(fmt::format("{} bytes, but type and shape make {}", tensor.bytes, *expected));
  }
  return tensor;
}

// Two tensors that share bytes, or nothing.
std::string overlap_fault(const std::map<std::string, TensorInfo>& tensors) {
  using Entry = std::map<std::string, TensorInfo>::value_type;
  std::vector<const Entry*> by_offset;
  for (const Entry& entry : tensors) {
    if (entry.second.bytes > 0) by_offset.push_back(&entry);
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [](const Entry* a, const Entry* b) { return a->second.offset < b->second.offset; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const TensorInfo& before = by_offset[i - 1]->second;
    if (by_offset[i]->second.offset - before.offset < before.bytes) {
      return fmt::format("tensors {} and {} overlap", printable(by_offset[i - 1]->first, 80),
                         printable(by_offset[i]->first, 80));
    }
  }
  return {};
}

std::string load_header(std::string_view text, std::string_view name, const Data& data,
                        SafetensorsHeader& header) {
  const auto document = parse_json(text, {kMaxSafetensorsHeaderBytes, kMaxHeaderValues}, name);
  if (!document.ok()) return document.error().message;
  std::string fault;
  const JsonNode root(*document, fault);
  root.expect(document->is_object(), "an object");
  for (const auto& item : document->items()) {
    if (!fault.empty()) break;
    const JsonNode node = root.member(item.key());
    if (item.key() != kMetadataKey) {
      header.tensors.emplace(item.key(), read_tensor(node, data));
      continue;
    }
    node.expect(item.value().is_object(), "an object");
    for (const auto& entry : item.value().items()) {
      if (!fault.empty()) break;
      header.metadata.emplace(entry.key(), node.member(entry.key()).string(0, text.size()));
    }
  }
  if (fault.empty()) fault = overlap_fault(header.tensors);
  return fault.empty() ? fault : fmt::format("{}: header: {}", name, fault);
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> head, uint64_t file_bytes,
                                            std::string_view name) {
  const auto corrupt = [&](std::string_view what) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, what)};
  };
  if (head.size() < kLengthBytes || file_bytes < head.size()) {
    return corrupt("too short for a safetensors file");
  }
  const auto header_bytes = load_le<uint64_t>(head, 0);
  if (header_bytes > kMaxSafetensorsHeaderBytes) {
    return corrupt(fmt::format("header of {} bytes, more than the limit of {}; not safetensors?",
                               header_bytes, kMaxSafetensorsHeaderBytes));
  }
  if (header_bytes > head.size() - kLengthBytes) {
    return corrupt(fmt::format("header of {} bytes runs past byte {}; is the file truncated?",
                               header_bytes, head.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(head.data()) + kLengthBytes,
                              header_bytes);
  const uint64_t data_offset = kLengthBytes + header_bytes;
  SafetensorsHeader header;
  header.file_bytes = file_bytes;
  const Data data = {data_offset, file_bytes - data_offset};
  if (std::string fault = load_header(text, name, data, header); !fault.empty()) {
    return Error{ErrorKind::kCorrupt, std::move(fault)};
  }
  return header;
}

}  // namespace kvcast::manifests
