// What of a section's bytes is entropy-coded payload; the rest is side information: counts,
// classes, stream tables, states, escapes, padding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/fault.h"
#include "kernels/geometry.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

// Bytes of the words of all streams in `planes`: a base section, then the refinements that follow
// it. Fault: they are not sections of that group, side and tokens. Stateless.
Checked<uint64_t> payload_bytes(const Profile& profile, uint32_t group, Side side,
                                TokenRange tokens,
                                std::span<const std::span<const std::byte>> planes);

}  // namespace kvcast::kernels
