// The head of an object whose sections are already somewhere else: for writers that stream sections
// to a file and do not hold the object in memory. Format: manifests/object_format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "manifests/object.h"

namespace kvcast::manifests {

// A section in the order of the object. Its bytes lie at the next multiple of 8 after the section
// before it; the first one lies at object_head_bytes().
struct SectionSummary {
  uint16_t kind = 0;
  uint16_t group = 0;
  uint8_t side = 0;
  uint64_t bytes = 0;
  uint64_t xxh3 = 0;
};

constexpr uint64_t object_head_bytes(size_t sections) {
  return kObjectHeaderBytes + sections * kSectionEntryBytes;
}

// Header and section table: the first object_head_bytes(sections.size()) bytes of the object.
// Throws std::invalid_argument as write_object does.
std::vector<std::byte> write_object_head(const ObjectHeader& header,
                                         std::span<const SectionSummary> sections);

}  // namespace kvcast::manifests
