#include "manifests/object_head.h"

#include <set>
#include <stdexcept>
#include <tuple>

#include "manifests/bytes/little_endian.h"
#include "manifests/object/header.h"

namespace kvcast::manifests {
namespace {

void require_valid(const ObjectHeader& header, std::span<const SectionSummary> sections) {
  if (sections.empty() || sections.size() > kMaxSections) {
    throw std::invalid_argument("write_object_head: number of sections");
  }
  std::set<std::tuple<uint16_t, uint16_t, uint8_t>> names;
  for (const SectionSummary& section : sections) {
    if (section.side > 1) throw std::invalid_argument("write_object_head: section side");
    if (!names.emplace(section.kind, section.group, section.side).second) {
      throw std::invalid_argument("write_object_head: section twice");
    }
  }
  if (const std::string fault = header_fault(header); !fault.empty()) {
    throw std::invalid_argument("write_object_head: " + fault);
  }
}

}  // namespace

std::vector<std::byte> write_object_head(const ObjectHeader& header,
                                         std::span<const SectionSummary> sections) {
  require_valid(header, sections);
  std::vector<std::byte> head(object_head_bytes(sections.size()));
  const std::span<std::byte> all(head);
  uint64_t end = head.size();
  size_t at_entry = kObjectHeaderBytes;
  for (const SectionSummary& section : sections) {
    const uint64_t offset = (end + 7) / 8 * 8;
    store_entry({section.kind, section.group, section.side, offset, section.bytes, section.xxh3},
                all.subspan(at_entry, kSectionEntryBytes));
    end = offset + section.bytes;
    at_entry += kSectionEntryBytes;
  }
  store_header(header, {static_cast<uint32_t>(sections.size()), end}, all);
  store_le(all, kHeaderHashOffset, header_hash(all));
  return head;
}

}  // namespace kvcast::manifests
