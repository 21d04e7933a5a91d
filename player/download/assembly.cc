#include "player/download/assembly.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "manifests/digest.h"

namespace kvcast::player {

TransferRequest Assembly::ask(std::string url, size_t base) {
  TransferRequest request;
  request.url = std::move(url);
  base_ = base;
  offset_ = 0;
  if (!object_) {
    // Without a digest nothing says that two answers belong together: always the whole.
    bytes_.clear();
    request.accept_compressed = true;
    request.size_limit_bytes = limit_bytes_;
    return request;
  }
  offset_ = bytes_.size();
  request.size_limit_bytes = object_->bytes;
  request.expected_bytes = object_->bytes - offset_;
  if (offset_ > 0) {
    request.range = ByteRange{offset_, std::nullopt};
    const bool same_base = sources_.size() == 1 && sources_.front() == base;
    if (same_base && !etag_.empty()) request.headers.push_back("If-Range: " + etag_);
  }
  return request;
}

std::optional<Assembly::Misfit> Assembly::check(const ResponseHeaders& headers) const {
  if (!object_) return std::nullopt;
  const uint64_t expected = object_->bytes;
  const bool partial = headers.status == 206;
  const auto length = partial ? headers.range_total : headers.content_length;
  if (length && *length != expected) {
    return Misfit{fmt::format("{} bytes where the manifest says {}", *length, expected), true};
  }
  if (partial && headers.range_first != offset_) {
    return Misfit{fmt::format("a range that starts elsewhere than at byte {}", offset_)};
  }
  return std::nullopt;
}

uint64_t Assembly::held(const ResponseHeaders& headers, uint64_t body_bytes) const {
  return headers.status == 206 ? offset_ + body_bytes : body_bytes;
}

void Assembly::take(const ResponseHeaders& headers, std::vector<std::byte> body) {
  if (headers.status == 206 && offset_ == bytes_.size() && offset_ > 0) {
    bytes_.insert(bytes_.end(), body.begin(), body.end());
    if (std::find(sources_.begin(), sources_.end(), base_) == sources_.end()) {
      sources_.push_back(base_);
    }
  } else if (body.size() > bytes_.size()) {
    bytes_ = std::move(body);
    sources_ = {base_};
    etag_ = headers.etag.starts_with("W/") ? "" : headers.etag;
  }
}

std::optional<std::string> Assembly::find_fault() const {
  if (!object_) return std::nullopt;
  if (bytes_.size() != object_->bytes) {
    return fmt::format("{} bytes where the manifest says {}", bytes_.size(), object_->bytes);
  }
  const manifests::Digest digest = manifests::sha256(bytes_);
  if (digest == object_->digest) return std::nullopt;
  return fmt::format("its SHA-256 is {}", digest.hex());
}

void Assembly::clear() {
  bytes_ = {};
  sources_.clear();
  etag_.clear();
}

}  // namespace kvcast::player
