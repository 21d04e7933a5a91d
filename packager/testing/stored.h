// Test helper: reads back what was packed, the way a player would.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/profile.h"
#include "manifests/manifest.h"

namespace kvcast::packager {

// Decoded chunks of a presentation below `tenant_root`. Errors throw.
class Stored {
 public:
  Stored(std::string tenant_root, const manifests::Manifest& manifest);

  const kernels::Profile& profile() const { return profile_; }
  // [2 * layer + side] of one chunk: [token][head][dim].
  std::vector<std::vector<std::byte>> decode(uint32_t chunk, uint32_t level) const;
  std::vector<std::vector<std::byte>> decode_exact(uint32_t chunk) const;

 private:
  std::vector<std::byte> load(const manifests::ObjectRef& object) const;

  std::string root_;
  const manifests::Manifest& manifest_;
  kernels::DType dtype_;
  kernels::Profile profile_;
};

}  // namespace kvcast::packager
