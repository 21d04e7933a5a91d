#include "manifests/object.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "manifests/bytes/little_endian.h"
#include "manifests/object/header.h"
#include "manifests/object_head.h"

namespace kvcast::manifests {
namespace {

using SectionName = std::tuple<uint16_t, uint16_t, uint8_t>;  // kind, group, side

constexpr uint64_t align8(uint64_t at) {
  return (at + 7) / 8 * 8;
}

std::string section_fault(std::span<const std::byte> bytes, size_t index, const SectionEntry& entry,
                          uint64_t end_of_previous) {
  const uint64_t expected = align8(end_of_previous);
  if (entry.offset != expected) {
    return fmt::format("section {}: offset {}; expected {}", index, entry.offset, expected);
  }
  if (expected > bytes.size() || entry.bytes > bytes.size() - expected) {
    return fmt::format("section {}: {} bytes from byte {} run past the object's end at {}", index,
                       entry.bytes, entry.offset, bytes.size());
  }
  const auto padding = bytes.subspan(end_of_previous, expected - end_of_previous);
  if (std::any_of(padding.begin(), padding.end(), [](std::byte b) { return b != std::byte{0}; })) {
    return fmt::format("padding before section {}, bytes {} to {}, is not zero", index,
                       end_of_previous, expected - 1);
  }
  if (xxh3(bytes.subspan(expected, entry.bytes)) != entry.xxh3) {
    return fmt::format(
        "section {} (kind {}, group {}, side {}; {} bytes from byte {}): damaged, its xxh3 does "
        "not match; fetch it again",
        index, entry.kind, entry.group, entry.side, entry.bytes, entry.offset);
  }
  return {};
}

std::string load_sections(std::span<const std::byte> bytes, const Frame& frame,
                          std::vector<ObjectSection>& sections) {
  std::set<SectionName> names;
  uint64_t end = object_head_bytes(frame.sections);
  for (size_t i = 0; i < frame.sections; ++i) {
    SectionEntry entry;
    if (std::string fault = load_entry(bytes, i, entry); !fault.empty()) return fault;
    if (std::string fault = section_fault(bytes, i, entry, end); !fault.empty()) return fault;
    if (!names.emplace(entry.kind, entry.group, entry.side).second) {
      return fmt::format("section {}: kind {}, group {}, side {} for the second time", i,
                         entry.kind, entry.group, entry.side);
    }
    end = entry.offset + entry.bytes;
    sections.push_back(
        {entry.kind, entry.group, entry.side, bytes.subspan(entry.offset, entry.bytes)});
  }
  if (end != bytes.size()) {
    return fmt::format("{} bytes after the last section, which ends at byte {}", bytes.size() - end,
                       end);
  }
  return {};
}

std::string load_object(std::span<const std::byte> bytes, ObjectView& view) {
  Frame frame;
  if (std::string fault = load_frame(bytes, frame); !fault.empty()) return fault;
  const size_t head_bytes = object_head_bytes(frame.sections);
  if (header_hash(bytes.first(head_bytes)) != load_le<uint64_t>(bytes, kHeaderHashOffset)) {
    return "header or section table is damaged: the xxh3 at byte 56 does not match; fetch it again";
  }
  if (std::string fault = load_header(bytes, view.header); !fault.empty()) return fault;
  return load_sections(bytes, frame, view.sections);
}

}  // namespace

std::vector<std::byte> write_object(const ObjectHeader& header,
                                    std::span<const ObjectSection> sections) {
  std::vector<SectionSummary> summaries;
  summaries.reserve(sections.size());
  size_t size = object_head_bytes(sections.size());
  for (const ObjectSection& section : sections) {
    summaries.push_back(
        {section.kind, section.group, section.side, section.bytes.size(), xxh3(section.bytes)});
    size = align8(size) + section.bytes.size();
  }
  std::vector<std::byte> object = write_object_head(header, summaries);
  object.reserve(size);
  for (const ObjectSection& section : sections) {
    object.resize(align8(object.size()));
    object.insert(object.end(), section.bytes.begin(), section.bytes.end());
  }
  return object;
}

Result<ObjectView> read_object(std::span<const std::byte> bytes, std::string_view name) {
  ObjectView view;
  if (const std::string fault = load_object(bytes, view); !fault.empty()) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, fault)};
  }
  return view;
}

}  // namespace kvcast::manifests
