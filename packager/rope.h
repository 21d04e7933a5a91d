// Stated RoPE as kernels compute with it. Stateless.
#pragma once

#include "kernels/profile.h"
#include "manifests/result.h"
#include "manifests/rope.h"

namespace kvcast::packager {

// Frequencies by kernels/rope.h. Error, which `name` opens: they are not finite numbers, as of a
// theta that no rule can work with.
manifests::Result<kernels::Rope> kernel_rope(const manifests::StatedRope& stated,
                                             std::string_view name);

}  // namespace kvcast::packager
