// A section: the smallest separately checked piece of an object. Kernels fill and read its bytes; the container
// around it (manifests/object_format.md) carries its identity, place and hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/geometry.h"

namespace kvcast::kernels {

enum class SectionKind : uint16_t {
  kBase = 1,            // kernels/plane_format.md
  kRefinement = 2,      // kernels/plane_format.md
  kSinks = 3,           // kernels/plane_format.md
  kExact = 4,           // kernels/exact_format.md
  kProfileCore = 16,    // kernels/profile_format.md
  kProfileSection = 17,
  kProfileClasses = 18,
};

struct SectionId {
  SectionKind kind = SectionKind::kBase;
  uint16_t group = 0;   // transform group (planes, profile sections) or layer (exact); else 0
  Side side = Side::kKey;
  bool operator==(const SectionId&) const = default;
};

struct Section {
  SectionId id;
  std::vector<std::byte> bytes;
};

}  // namespace kvcast::kernels
