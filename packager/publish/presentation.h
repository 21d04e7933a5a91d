// What a manifest says, from what was packaged. Pure, save for the clock.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "manifests/digest.h"
#include "manifests/manifest.h"
#include "manifests/prefix_hash.h"
#include "manifests/result.h"
#include "packager/packager.h"
#include "packager/source/kv_source.h"

namespace kvcast::packager {

// The chunks' token ranges and prefix hashes; `hashes` is empty where the tokens are not known.
std::vector<manifests::ChunkEntry> plan_chunks(uint64_t tokens, uint32_t chunk_tokens,
                                               std::span<const manifests::Digest> hashes);

// 32 hex digits that follow from the model, the chunks and their planes: packing the same cache the
// same way finds the presentation again. Exact objects, text, URLs and times may be added or
// changed without another id.
std::string presentation_id(const manifests::Manifest& manifest);

// "2026-01-31T12:00:00Z": SOURCE_DATE_EPOCH
// (https://reproducible-builds.org/specs/source-date-epoch/) where it is set, else now.
manifests::Result<std::string> time_of_creation();

// Everything but id, text and times; `chunks` as packaged.
manifests::Manifest describe_presentation(const PackParams& params, const KvSource& source,
                                          uint32_t levels, manifests::ObjectRef profile,
                                          std::vector<manifests::ChunkEntry> chunks);

}  // namespace kvcast::packager
