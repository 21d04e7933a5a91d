// The bytes of one download, as attempt after attempt brings them: what to ask next, whether an
// answer fits, what is there. Pure. Range, If-Range, 206, 416: RFC 9110, sections 13 to 15.
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

  // What is missing, from `base` (any number that tells bases apart), and remembers having asked
  // it.
  TransferRequest ask(std::string url, size_t base);
  uint64_t offset() const { return offset_; }  // bytes the latest ask() did not ask for again

  // Whether the answer to the latest ask() can lead to the object.
  std::optional<Misfit> check(const ResponseHeaders& headers) const;

  // Bytes of the object held once `body_bytes` of this answer's body have come.
  uint64_t held(const ResponseHeaders& headers, uint64_t body_bytes) const;

  // Body of the answer, whole or as far as it came. Keeps whichever is longer, what was held or
  // what a server that ignored the range sent anew.
  void take(const ResponseHeaders& headers, std::vector<std::byte> body);

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
  uint64_t offset_ = 0;
  size_t base_ = 0;
};

}  // namespace kvcast::player
