// Everything between fetched objects and KV in the sink: the profile, the objects kept for
// re-decoding, what decodes. Called from the session's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/plane.h"
#include "kernels/profile.h"
#include "manifests/result.h"
#include "player/device_sink.h"
#include "player/estimator.h"
#include "player/session/presentation.h"
#include "player/session/section_decoder.h"

namespace kvcast::player {

class Decoding {
 public:
  struct Chunk {
    uint32_t chunk = 0;
    uint32_t wanted = 0;
    int level = -1;     // reached by all sections; -1: a section has no usable KV
    std::string fault;  // why it is below `wanted`
  };

  // `destinations`: [2 * layer + side], of all tokens; not used with a `device`, which may be null.
  // All must outlive it.
  Decoding(const Presentation& presentation,
           const std::vector<kernels::MutableTensorView>& destinations, DeviceKvSink* device,
           bool exact, uint32_t threads, std::function<void()> wake);

  // Planes decode once it is there; exact objects need none.
  manifests::Status set_profile(std::vector<std::byte> object);
  bool ready() const { return exact_ || has_profile_; }

  // Keeps the object of plane n of a chunk. Error: it is not what the manifest says.
  manifests::Status keep(uint32_t chunk, uint32_t plane, std::vector<std::byte> object);
  void release(uint32_t chunk);  // jobs that read it keep it alive

  // Queues planes 0..level, which are kept, of each chunk; the groups in order across all chunks.
  struct Order {
    uint32_t chunk = 0, level = 0;
  };
  void submit(const std::vector<Order>& orders);
  manifests::Result<std::vector<Chunk>> collect();  // chunks whose last section is done

  // KV of a chunk that was computed elsewhere, [2 * layer + side], dense rows.
  manifests::Status place(uint32_t chunk, std::span<const kernels::MutableTensorView> from);
  uint32_t at_once() const;  // how many chunks are worth decoding together

  uint32_t active() const { return active_; }  // chunks
  uint32_t groups() const { return static_cast<uint32_t>(groups_.size()); }
  bool group_active(uint32_t group) const { return group_jobs_[group] != 0; }
  const kernels::LayerGroup& group(uint32_t index) const { return groups_[index]; }
  double seconds(uint32_t chunk, uint32_t level) const;  // by the pool; 0 while unknown
  const kernels::Profile* profile() const { return has_profile_ ? &profile_ : nullptr; }
  void expect(const Spread& seconds_per_million) { estimator_.set_prior(seconds_per_million); }
  Spread measured() const { return estimator_.measured(); }  // of a thread, for a million elements

 private:
  struct Progress {
    uint32_t jobs = 0, wanted = 0;
    int level = 0;
    std::string fault;
  };
  manifests::ObjectHeader expected_header(uint32_t chunk, uint32_t plane) const;
  DecodeJob job(const Order& order, uint32_t group, kernels::Side side) const;
  double work(uint32_t chunk, uint32_t level) const;

  const Presentation& presentation_;
  const std::vector<kernels::MutableTensorView>& destinations_;
  DeviceKvSink* const device_;
  const bool exact_;
  const uint32_t threads_;  // that share the work
  bool has_profile_ = false;
  kernels::Profile profile_;
  std::unique_ptr<kernels::Codec> codec_;  // of profile_; host memory only
  std::vector<kernels::LayerGroup> groups_;
  std::vector<uint32_t> group_jobs_;
  std::vector<std::vector<std::shared_ptr<const StoredObject>>> kept_;  // [chunk][plane]
  std::vector<Progress> progress_;                                      // [chunk]
  uint32_t active_ = 0;
  DecodeEstimator estimator_;
  std::unique_ptr<SectionDecoder> decoder_;  // last: its jobs use the above
};

}  // namespace kvcast::player
