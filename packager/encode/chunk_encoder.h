// Encodes all chunks of a source into the store: sections in parallel, objects in order.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "kernels/plane.h"
#include "manifests/manifest.h"
#include "manifests/result.h"
#include "packager/encode/chunk_objects.h"
#include "packager/encode/section_job.h"
#include "packager/source/kv_source.h"
#include "packager/store/object_store.h"
#include "packager/work/task_order.h"

namespace kvcast::packager {

class ChunkEncoder {
 public:
  // `chunks` have their token ranges; run() fills in the rest. All references must outlive it.
  ChunkEncoder(ObjectStore& store, const KvSource& source, const kernels::Codec& codec,
               const manifests::Digest& profile_digest, bool exact,
               std::vector<manifests::ChunkEntry>& chunks);

  // `on_encoded` gets raw bytes, one call at a time. Once.
  manifests::Status run(uint32_t threads, const std::function<void(uint64_t)>& on_encoded,
                        std::stop_token stop);

  const NonFiniteCount& non_finite() const { return non_finite_; }  // after run()

 private:
  SectionJob job(size_t index) const;
  void work(TaskOrder& order, const std::function<void(uint64_t)>& on_encoded);
  // In job order, one at a time.
  manifests::Status accept(const SectionJob& job, EncodedJob encoded);

  ObjectStore& store_;
  const KvSource& source_;
  const kernels::Codec& codec_;
  const manifests::Digest profile_digest_;
  const bool exact_;
  std::vector<manifests::ChunkEntry>& chunks_;
  std::vector<std::pair<uint32_t, kernels::Side>> sections_;  // of a chunk: (group, side)
  std::optional<ChunkObjects> current_;                       // of the chunk whose sections arrive
  NonFiniteCount non_finite_;
};

// How many of `threads` may work at once without holding more than `memory_bytes` together; >= 1.
uint32_t workers_within(uint64_t memory_bytes, uint32_t threads, const KvSource& source,
                        const kernels::Profile& profile, uint32_t chunk_tokens);

}  // namespace kvcast::packager
