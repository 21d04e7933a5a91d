// What a manifest needs to be there.
#pragma once

#include <vector>

#include "manifests/manifest.h"

namespace kvcast::manifests {

// Every object that it names, as often as it does: profile, text, planes, exact ones.
std::vector<ObjectRef> objects_of(const Manifest& manifest);

}  // namespace kvcast::manifests
