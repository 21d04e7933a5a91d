// The fixed parts of an object as bytes: manifests/object_format.md, "Header" and "Section table".
// Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "manifests/object.h"

namespace kvcast::manifests {

inline constexpr uint16_t kObjectVersion = 1;
inline constexpr uint64_t kMaxFirstToken = uint64_t{1} << 40;
inline constexpr uint32_t kMaxChunkTokens = 1u << 20;
inline constexpr uint32_t kMaxTextTokens = 1u << 30;
inline constexpr size_t kHeaderHashOffset = 56;

// What the header says about the object around it.
struct Frame {
  uint32_t sections = 0;
  uint64_t object_bytes = 0;
};

struct SectionEntry {
  uint16_t kind = 0;
  uint16_t group = 0;
  uint8_t side = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t xxh3 = 0;
};

// `to` has kObjectHeaderBytes (kSectionEntryBytes) zero bytes. The hash field stays zero.
void store_header(const ObjectHeader& header, const Frame& frame, std::span<std::byte> to);
void store_entry(const SectionEntry& entry, std::span<std::byte> to);

// Each answers what is wrong, with its place; empty when all is well.
// Magic, version, counts; `bytes` is the whole object.
std::string load_frame(std::span<const std::byte> bytes, Frame& frame);
std::string load_header(std::span<const std::byte> bytes, ObjectHeader& header);
std::string load_entry(std::span<const std::byte> bytes, size_t index, SectionEntry& entry);

// The rules of the fields against each other, which the writer obeys too.
std::string header_fault(const ObjectHeader& header);

// xxh3 of header and section table, the hash field taken as zero.
uint64_t header_hash(std::span<const std::byte> head);

}  // namespace kvcast::manifests
