// The container of every stored object: header, section table, sections. Format:
// manifests/object_format.md. What a section's bytes mean is the business of whoever wrote them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "manifests/digest.h"
#include "manifests/result.h"

namespace kvcast::manifests {

enum class ObjectKind : uint8_t { kPlane = 1, kExact = 2, kProfile = 3, kText = 4 };

inline constexpr uint32_t kMaxSections = 65536;  // 1,024 layers, two sides, sinks: 16 times over
inline constexpr uint64_t kMaxObjectBytes = uint64_t{1} << 40;
inline constexpr size_t kObjectHeaderBytes = 128;
inline constexpr size_t kSectionEntryBytes = 32;

struct ObjectHeader {
  ObjectKind kind = ObjectKind::kPlane;
  uint8_t plane = 0;         // plane objects: which; else 0
  uint64_t token_begin = 0;  // planes and exact: the chunk's tokens; text: 0 and all of them
  uint32_t token_count = 0;
  uint8_t dtype = 0;  // 1 F16, 2 BF16, 3 F32 (4, 5 reserved for fp8); 0 for profile and text
  uint16_t layers = 0, key_heads = 0, key_dim = 0, value_heads = 0, value_dim = 0;
  Digest profile;  // planes: of the profile object that decodes them; else zeros
  bool operator==(const ObjectHeader&) const = default;
};

struct ObjectSection {
  uint16_t kind = 0;
  uint16_t group = 0;
  uint8_t side = 0;  // 0 keys, 1 values
  std::span<const std::byte> bytes;
};

// A parsed object; sections point into the bytes it was parsed from.
struct ObjectView {
  ObjectHeader header;
  std::vector<ObjectSection> sections;
};

// The stored bytes. Same input, same bytes. A header or section that the format page refuses throws
// std::invalid_argument.
std::vector<std::byte> write_object(const ObjectHeader& header,
                                    std::span<const ObjectSection> sections);

// Checks magic, version, every count and range, the header's and every section's xxh3. `name` (a
// file or URL) opens the error message. The caller checks the SHA-256 against the name it asked
// for.
Result<ObjectView> read_object(std::span<const std::byte> bytes, std::string_view name);

}  // namespace kvcast::manifests
