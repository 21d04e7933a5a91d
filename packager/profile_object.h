// A profile as the object that stores and players share. Stateless and thread-safe.
// Formats: manifests/object_format.md around kernels/profile_format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/profile.h"
#include "manifests/result.h"

namespace kvcast::packager {

inline constexpr uint64_t kMaxProfileBytes = uint64_t{1}
                                             << 34;  // 3% of the weights of the largest models

// Same profile, same bytes. The profile must be valid.
std::vector<std::byte> write_profile_object(const kernels::Profile& profile);

// `name` opens the message of an error.
manifests::Result<kernels::Profile> read_profile_object(std::span<const std::byte> bytes,
                                                        std::string_view name);

}  // namespace kvcast::packager
