// Decoding on a device, one step at a time: objects are brought over, sections that wait are made
// into batches, each batch is launched once its objects are on their way, and taken off when its
// event has passed. Nothing here blocks; the thread around it is device_decoder.h's.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "kernels/device_decode.h"
#include "player/device/memory.h"
#include "player/device/resident.h"
#include "player/device_sink.h"
#include "player/session/section_decoder.h"

namespace kvcast::player {

class DecodeQueue {
 public:
  // Into a prepared sink, which must outlive it.
  explicit DecodeQueue(DeviceKvSink& sink);
  ~DecodeQueue();  // waits for what is under way
  DecodeQueue(const DecodeQueue&) = delete;
  DecodeQueue& operator=(const DecodeQueue&) = delete;

  // Once. Copies it to the device, unless the play before brought the same one.
  kernels::Check use_profile(const kernels::Profile& profile);

  void keep(const Resident::Object& object) { resident_.keep(object); }
  void release(const Resident::Object& object) { resident_.forget(object); }
  void submit(DecodeJob job);

  // Does what can be done now. False: nothing could; later something may, if busy(). Fault: a call
  // of the device failed, or the room is too small for one section; the queue is of no use then.
  kernels::Checked<bool> pump();
  bool busy() const {
    return !waiting_.empty() || forming_ || !running_.empty() || resident_.uploading();
  }
  std::vector<DecodeDone> take_done();

 private:
  // A section to decode, at the best level that has not failed.
  struct Section {
    DecodeJob job;
    DecodeDone done;
  };
  struct Batch {
    std::vector<Section> sections;
    std::optional<kernels::DecodePlan> plan;
    double work = 0;
    std::chrono::steady_clock::time_point launched;
    size_t slot = 0;
  };

  kernels::Checked<bool> retire();
  kernels::Checked<bool> form();
  kernels::Checked<bool> launch();
  kernels::Check decode_exact(Section& section);
  kernels::Checked<bool> try_plan(Batch& batch);
  kernels::Checked<kernels::DecodePlan> plan(std::span<const Section> sections) const;
  void gather(Batch& batch);
  bool hold(const Section& section);
  void let_go(const Section& section);
  void fail(Section section, const kernels::Fault& fault);
  void put_back(Batch& batch, size_t count);

  DeviceKvSink& sink_;
  kernels::DeviceRuntime& device_;
  DeviceMemory& memory_;
  Resident resident_;
  std::deque<Section> waiting_;
  std::optional<Batch> forming_;
  std::deque<Batch> running_;
  size_t next_slot_ = 0;
  std::vector<DecodeDone> done_;
};

}  // namespace kvcast::player
