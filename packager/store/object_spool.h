// An object being written section by section to a temporary file: memory holds its section table
// only. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/section.h"
#include "manifests/object.h"
#include "manifests/object_head.h"
#include "manifests/result.h"
#include "manifests/staged_file.h"
#include "packager/store/object_store.h"

namespace kvcast::packager {

class ObjectSpool {
 public:
  // `sections` must be appended, in the order of the object.
  static manifests::Result<ObjectSpool> create(ObjectStore& store,
                                               const manifests::ObjectHeader& header,
                                               size_t sections);

  manifests::Status append(kernels::SectionId id, std::span<const std::byte> bytes);
  // Writes the head and computes the digest: ready to be published.
  manifests::Result<FinishedObject> finish() &&;

 private:
  ObjectSpool(const manifests::ObjectHeader& header, manifests::StagedFile file, size_t sections);

  manifests::ObjectHeader header_;
  manifests::StagedFile file_;
  size_t section_count_;
  uint64_t end_;  // of what is written
  std::vector<manifests::SectionSummary> sections_;
};

}  // namespace kvcast::packager
