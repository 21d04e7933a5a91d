// What is to be played: found, fetched, and known to fit the engine.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "kernels/geometry.h"
#include "manifests/manifest.h"
#include "manifests/result.h"
#include "player/player.h"
#include "player/session/link.h"

namespace kvcast::player {

struct Presentation {
  manifests::Manifest manifest;
  std::string url;  // of the manifest
  kernels::Geometry geometry;
  kernels::DType dtype = kernels::DType::kBf16;
  uint32_t chunks = 0;  // how many of the first ones are played
  uint64_t tokens = 0;  // in them
};

manifests::Error cancelled();

// Nothing: the store has none of the tokens, or no whole chunk of them.
manifests::Result<std::optional<Presentation>> open_presentation(Downloader& downloader, Link& link,
                                                                 const Journal& journal,
                                                                 const Source& source,
                                                                 const PlayParams& params,
                                                                 std::stop_token stop);

// Geometry, type and identity as the manifest states them, compared with what the engine takes.
manifests::Result<Presentation> check_presentation(manifests::Manifest manifest,
                                                   const std::string& url,
                                                   std::optional<uint64_t> token_limit,
                                                   const PlayParams& params);

}  // namespace kvcast::player
