// What turns the sections of verified objects into KV: a pool of threads, or a device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/plane.h"
#include "kernels/profile.h"
#include "manifests/result.h"
#include "player/session/stored_object.h"

namespace kvcast::player {

// One group's keys or values of one chunk, from planes 0..n.
struct DecodeJob {
  uint32_t chunk = 0, group = 0;
  kernels::Side side = kernels::Side::kKey;
  bool exact = false;                     // one lossless object, and the group is a layer
  const kernels::Codec* codec = nullptr;  // where host memory is decoded to, unless exact
  uint32_t channels = 0;                  // of a layer
  std::vector<std::shared_ptr<const StoredObject>> planes;
  kernels::TokenRange tokens;
  kernels::DType dtype = kernels::DType::kBf16;
  std::vector<kernels::MutableTensorView> layers;  // host memory, at the chunk's first token
  double work = 0;
};

struct DecodeDone {
  uint32_t chunk = 0, group = 0;
  int level = -1;     // reached: below the one asked for when a plane is faulty; -1: none
  std::string fault;  // of the best plane that failed
  double work = 0, thread_seconds = 0;
};

// All calls from one thread. An error is one that no other level would mend: it ends the play.
class SectionDecoder {
 public:
  virtual ~SectionDecoder() = default;

  // Once, before jobs that are not exact. The profile outlives this.
  virtual manifests::Status use_profile(const kernels::Profile& /*profile*/) { return {}; }

  // Jobs will name this object; none will from now on.
  virtual void keep(const std::shared_ptr<const StoredObject>& /*object*/) {}
  virtual void release(const std::shared_ptr<const StoredObject>& /*object*/) {}

  // Of the same section at most one job is under way.
  virtual void submit(std::vector<DecodeJob> jobs) = 0;
  virtual manifests::Result<std::vector<DecodeDone>> collect() = 0;  // throws what a job threw
};

}  // namespace kvcast::player
