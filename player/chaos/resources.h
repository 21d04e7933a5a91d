// What a process holds of the system, to see that it is given back.
#pragma once

#include <compare>
#include <cstddef>

namespace kvcast::player {

struct Resources {
  size_t descriptors = 0, threads = 0;
  auto operator<=>(const Resources&) const = default;
};

Resources resources_now();

// Waits until no more than `before` is held: a thread that was joined is still listed for a moment.
// Long enough for any machine; what it returns is what is held then.
Resources resources_when_back(const Resources& before);

}  // namespace kvcast::player
