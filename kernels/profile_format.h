// Profile <-> sections. Format: kernels/profile_format.md.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/profile.h"
#include "kernels/section.h"

namespace kvcast::kernels {

struct SectionView {
  SectionId id;
  std::span<const std::byte> bytes;
};

// The profile must be valid. Same profile, same bytes.
std::vector<Section> write_profile(const Profile& profile);

// Sections in the order the object holds them. Every count is checked before it is used; the result
// is valid.
Checked<Profile> read_profile(std::span<const SectionView> sections);

}  // namespace kvcast::kernels
