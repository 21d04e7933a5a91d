// Turns the KV cache of a context into objects, a manifest and prefix entries in a store: a
// directory, a bucket of S3, or an origin that takes PUTs (manifests/open_store.h).
//
// Streamed: the input is read one (chunk, transform group, K|V) at a time with positional reads,
// and encoded sections go straight to temporary files, so memory is a few sections a worker and
// never a chunk; only the measurement of a profile holds one chunk, the first. Workers take
// sections in order and hand their results over in the same order, so the output is byte-identical
// at any number of threads.
//
// Publication: objects (in a directory each synced, then renamed to its digest; their folders
// synced), then the manifest, then the prefix entries. So whatever is named exists: the manifest
// names objects, and a prefix entry names the manifest. An interrupted run leaves complete objects,
// which the next run reuses, and no manifest; what it left half written the next run removes. What
// a run finds done it syncs as what it does, since the run that did it may not have come to that.
//
// Layout of the output: manifests/layout.h. Bytes: manifests/*_format.md, kernels/*_format.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "manifests/layout.h"
#include "manifests/manifest.h"
#include "manifests/open_store.h"
#include "manifests/result.h"

namespace kvcast::packager {

inline constexpr uint32_t kDefaultChunkTokens = 1024;
inline constexpr uint32_t kMaxChunkTokens = 1u << 20;  // of an object's header
inline constexpr uint32_t kMaxThreads = 1024;

struct PackParams {
  std::string input;              // KV cache as safetensors: manifests/kv_file.h
  std::string out;                // root of the store: a directory, s3://..., http(s)://...
  manifests::StoreOptions store;  // of a remote one
  std::string tenant{manifests::kDefaultTenant};

  std::string profile;  // a profile object's file; empty: measured on the first chunk
  // Of a measured profile; a profile from a file decides for itself.
  uint32_t levels = 4;
  float step = 0.2f;  // of the finest level, in standard deviations of a channel
  float rounding = 0.4f;

  uint32_t chunk_tokens = kDefaultChunkTokens;  // a multiple of 16
  bool exact = false;  // also an exact object a chunk. Allows NaN and infinity: planes hold 0 there
  bool include_text = true;                   // token ids and text, where the input has them
  std::string salt;                           // of the prefix hashes
  std::optional<uint32_t> floor_level;        // of the last chunk
  std::vector<manifests::BaseUrl> base_urls;  // empty: "../", where this directory is served
  std::string created, expires;  // RFC 3339 UTC. No `created`: SOURCE_DATE_EPOCH, else the clock

  uint32_t threads = 0;       // 0: all cores
  uint64_t memory_bytes = 0;  // what workers may hold together, which limits their number. 0: 1.25
                              // raw chunks or 128 MiB, whichever is more
  bool verify_existing = false;  // hash the objects that exist, instead of trusting name and size
};

enum class PackPhase { kMeasuring, kEncoding, kPublishing };

struct PackProgress {
  PackPhase phase = PackPhase::kMeasuring;
  uint64_t bytes_done = 0, bytes_total = 0;  // of raw KV; kPublishing: of prefix entries, in files
};
// Called from any thread, never by two at once. Must not throw.
using PackProgressCallback = std::function<void(const PackProgress&)>;

struct PackReport {
  std::string manifest_path;
  manifests::Manifest manifest;
  bool manifest_written = false;  // false: one that differs in `created` at most was there
  uint64_t raw_bytes = 0;
  std::vector<uint64_t>
      bytes_by_level;        // what a player fetches for level n of all chunks, less the profile
  uint64_t exact_bytes = 0;  // 0 without exact objects
  uint64_t profile_bytes = 0;
  uint64_t text_object_bytes = 0;           // 0: inline or absent
  std::vector<double> distortion_by_level;  // over all chunks, weighted by tokens
  uint64_t objects_written = 0, objects_reused = 0;
  uint64_t prefix_entries_written = 0, prefix_entries_reused = 0;
  uint64_t non_finite_elements =
      0;                         // only with `exact`: 0 in the planes, kept in the exact objects
  std::string first_non_finite;  // where, for a message
  uint32_t threads = 0;          // workers used
};

// Errors name the tensor and index, or the file. `stop` ends the run between sections with an
// error.
manifests::Result<PackReport> pack(const PackParams& params,
                                   const PackProgressCallback& progress = {},
                                   std::stop_token stop = {});
// The same into a store of the caller's, which `params.out` only names in messages.
manifests::Result<PackReport> pack(const PackParams& params, manifests::Store& store,
                                   const PackProgressCallback& progress = {},
                                   std::stop_token stop = {});

}  // namespace kvcast::packager
