// The bytes of one download, as attempt after attempt brings them: what to ask next, whether an
// answer fits, what is there. Two attempts may run at once; each knows the offset it asked from.
// Pure. Range, If-Range, 206, 416: RFC 9110, sections 13 to 15.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "manifests/manifest.h"
#include "player/transport.h"

namespace kvcast::player {

class Assembly {
 public:
  struct Misfit {
    std::string message;
    bool wrong_object =
        false;  // the base has something else under this name; else the attempt just starts over
  };

  Assembly(std::optional<manifests::ObjectRef> object, uint64_t limit_bytes)
      : object_(std::move(object)), limit_bytes_(limit_bytes) {}

  // Bytes from `offset` on, from `base` (any number that tells bases apart). Without a digest
  // nothing says that two answers belong together: always the whole, whatever the offset.
  TransferRequest ask(std::string url, size_t base, uint64_t offset) const;

  // Whether the answer to ask(..., offset) can lead to the object.
  std::optional<Misfit> check(const ResponseHeaders& headers, uint64_t offset) const;

  // Bytes of the object, from its start, that are here once this answer has brought `body_bytes`.
  static uint64_t held(const ResponseHeaders& headers, uint64_t offset, uint64_t body_bytes);

  // Body of the answer, whole or as far as it came. A range goes behind what is here, where it
  // reaches that far; of a whole body and what is here the longer one stays.
  void take(const ResponseHeaders& headers, uint64_t offset, size_t base,
            std::vector<std::byte> body);

  uint64_t size() const { return bytes_.size(); }
  bool full() const { return object_ && bytes_.size() == object_->bytes; }
  const std::vector<size_t>& sources() const { return sources_; }  // bases the held bytes came from

  // What is wrong with the bytes held: length or SHA-256. Nothing for a download without a digest.
  std::optional<std::string> find_fault() const;

  void clear();
  std::vector<std::byte> release() { return std::move(bytes_); }

 private:
  std::optional<manifests::ObjectRef> object_;
  uint64_t limit_bytes_;
  std::vector<std::byte> bytes_;
  std::vector<size_t> sources_;
  std::string etag_;  // strong, of sources_.front()
};

}  // namespace kvcast::player
