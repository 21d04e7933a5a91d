// An upload under way, as Ingest keeps it. Whoever holds one only hands it back to Ingest.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>

#include "manifests/manifest.h"
#include "origin/ingest/ingest.h"

namespace kvcast::origin {

// One of the uploads allowed at one time, given back at the end.
class UploadSlot {
 public:
  UploadSlot(std::atomic<size_t>& count, size_t most) : count_(&count) {
    is_held_ = count_->fetch_add(1) < most;
  }
  ~UploadSlot() { count_->fetch_sub(1); }
  UploadSlot(const UploadSlot&) = delete;
  bool is_held() const { return is_held_; }

 private:
  std::atomic<size_t>* count_;
  bool is_held_;
};

// Room in a tenant's quota, given back at the end.
class QuotaRoom {
 public:
  QuotaRoom(Quotas& quotas, std::string tenant) : quotas_(quotas), tenant_(std::move(tenant)) {}
  ~QuotaRoom() {
    if (is_held_) quotas_.release(tenant_, bytes_, replaced_);
  }
  QuotaRoom(const QuotaRoom&) = delete;
  std::optional<std::string> reserve(uint64_t bytes, std::optional<uint64_t> replaced) {
    bytes_ = bytes;
    replaced_ = replaced;
    auto refusal = quotas_.reserve(tenant_, bytes, replaced);
    is_held_ = !refusal;
    return refusal;
  }
  // What was reserved lies there now.
  void fill() {
    quotas_.add(tenant_, static_cast<int64_t>(bytes_) - static_cast<int64_t>(replaced_.value_or(0)),
                replaced_ ? 0 : 1);
  }

 private:
  Quotas& quotas_;
  const std::string tenant_;
  bool is_held_ = false;
  uint64_t bytes_ = 0;
  std::optional<uint64_t> replaced_;
};

class Ingest::Upload {
 public:
  Upload(const StoredName& stored, uint64_t total, Quotas& quotas, std::atomic<size_t>& uploads,
         size_t most)
      : name(stored), total_bytes(total), slot(uploads, most), room(quotas, stored.tenant) {}

  const StoredName name;
  const uint64_t total_bytes;  // of the object
  UploadSlot slot;
  QuotaRoom room;
  std::optional<UploadFile> file;
  std::vector<manifests::ObjectRef> named_objects;  // by the manifest that it is
  std::string named_presentation;                   // by the prefix entry that it is
};

}  // namespace kvcast::origin
