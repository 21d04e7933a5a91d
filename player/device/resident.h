// Which verified objects lie, compressed, in device memory. Objects that somebody holds are there
// or on their way; others stay while there is room, the latest used longest.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/device_decode.h"
#include "player/device/memory.h"
#include "player/session/stored_object.h"

namespace kvcast::player {

// One thread at a time.
class Resident {
 public:
  using Object = std::shared_ptr<const StoredObject>;

  explicit Resident(DeviceMemory& memory) : memory_(memory) {}
  ~Resident() { drop(); }
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

  void keep(const Object& object);    // brings it over when the bus is idle and there is room
  void forget(const Object& object);  // nobody will hold it any more

  // Finds it a place, at the cost of what nobody holds; false: there is none now. Pair with
  // let_go(), after all that reads it has passed.
  bool hold(const Object& object);
  void let_go(const Object& object);
  void drop();  // takes their places from all that nobody holds
  static uint64_t needed_bytes(const StoredObject& object);  // of device memory

  bool complete(const Object& object) const;  // its copies are all enqueued
  // A section of an object that is held, nothing where the object has none.
  std::optional<kernels::DevicePlane> plane(const Object& object, kernels::SectionKind kind,
                                            uint32_t group, kernels::Side side) const;

  bool uploading() const { return !uploads_.empty(); }

  // Enqueues one piece of some object's copy. False: nothing to bring, or the ring is full.
  kernels::Checked<bool> upload();

 private:
  struct Entry {
    Object object;
    std::vector<uint64_t> at;  // of each section in the object's place
    uint64_t bytes = 0, sent = 0;
    size_t section = 0;           // the first that is not sent to its end
    std::optional<size_t> place;  // in the arena
    uint32_t holds = 0;
    uint64_t used = 0;
    bool forgotten = false;
  };
  Entry& entry(const Object& object);
  bool find_place(Entry& entry, bool at_others_cost);
  void lose_place(Entry& entry);
  void fill(Entry& entry, std::span<std::byte> piece) const;
  Entry* next_upload();

  DeviceMemory& memory_;
  std::map<const StoredObject*, Entry> entries_;
  std::deque<const StoredObject*> uploads_;  // in the order they were asked for
  uint64_t clock_ = 0;
};

}  // namespace kvcast::player
