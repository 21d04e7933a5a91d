// The worked example of kernels/plane_format.md as a store, so that a section of it can be replaced
// and looked at the way `kvcast verify` does; and containers around bare golden sections.
#pragma once

#include <string>

#include "packager/verify.h"
#include "tests/damage/packed_store.h"

namespace kvcast::damage {

// The page's sections of the values.
Bytes example_base();
Bytes example_refinement();
Bytes example_sinks();

// `name` starts with bad_base, bad_refinement or bad_sinks: which of them `section` replaces.
packager::VerifyReport verify_plane_section(const std::string& name, const Bytes& section);

// tests/golden/profile: sections behind u16 kind, u16 group, u32 side, u32 bytes.
Bytes profile_object_of(const Bytes& framed);

// tests/golden/exact: the keys of two tokens with two channels, BF16.
Bytes exact_object_of(const Bytes& section);

}  // namespace kvcast::damage
