// The profile that a presentation is coded with: one from a file, or one measured on the first
// chunk.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "kernels/plane.h"
#include "kernels/profile.h"
#include "manifests/result.h"
#include "packager/packager.h"
#include "packager/source/kv_source.h"

namespace kvcast::packager {

struct ProfileChoice {
  std::unique_ptr<const kernels::Profile> profile;
  std::vector<std::byte> object;  // its stored bytes
};

// A file that does not fit the cache is refused. A measurement holds the first chunk in memory; it
// reports each layer's bytes to `on_read` and ends early, with an error, when asked to stop.
manifests::Result<ProfileChoice> choose_profile(const PackParams& params, const KvSource& source,
                                                const std::function<void(uint64_t)>& on_read,
                                                std::stop_token stop);

}  // namespace kvcast::packager
