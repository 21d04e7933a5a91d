// The objects of one chunk while its sections arrive: a spool a plane, and one for the exact
// object. Which sections an object has, and in what order: manifests/object_format.md. One thread
// at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/plane.h"
#include "manifests/manifest.h"
#include "manifests/result.h"
#include "packager/encode/section_job.h"
#include "packager/store/object_spool.h"

namespace kvcast::packager {

class ChunkObjects {
 public:
  // All references must outlive it.
  static manifests::Result<ChunkObjects> create(ObjectStore& store, const KvSource& source,
                                                const kernels::Profile& profile,
                                                const manifests::Digest& profile_digest,
                                                kernels::TokenRange tokens, bool exact);

  // In the order of the objects: groups ascending, keys before values.
  manifests::Status append(const SectionJob& job, EncodedJob encoded);

  // Publishes the objects and fills in planes, exact and decode cost of the chunk's manifest entry.
  manifests::Status finish(manifests::ChunkEntry& entry) &&;

 private:
  ChunkObjects(ObjectStore& store, const kernels::Profile& profile, kernels::TokenRange tokens);
  manifests::Status append_exact(const SectionJob& job, EncodedJob& encoded);
  static manifests::Result<manifests::ObjectRef> finish(ObjectSpool spool,
                                                        std::vector<FinishedObject>& finished);
  void fill_distortion(manifests::ChunkEntry& entry) const;

  ObjectStore* store_;
  const kernels::Profile* profile_;
  kernels::TokenRange tokens_;
  std::vector<ObjectSpool> planes_;
  std::optional<ObjectSpool> exact_;
  // Exact objects go layer by layer, so a group's keys wait for its values.
  std::vector<std::vector<std::byte>> waiting_keys_;
  std::vector<double> squared_error_;  // by level, over all sections so far
  double energy_ = 0;
};

// Expected top-1 agreement at a relative distortion: linear between the profile's points, the
// nearest point's beyond them; none for an uncalibrated profile.
std::optional<double> expected_agreement(const kernels::Profile& profile, double distortion);

}  // namespace kvcast::packager
