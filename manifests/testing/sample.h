// A manifest that uses every field, of any size. Tests only.
#pragma once

#include "manifests/manifest.h"

namespace kvcast::manifests {

// Chunks of 1,024 tokens, digests and distortions pseudo-random from a fixed seed.
Manifest sample_manifest(uint32_t chunks, uint32_t levels);

// The manifest of manifest_format.md: two chunks of 16 and 8 tokens, two levels.
Manifest example_manifest();

}  // namespace kvcast::manifests
