#include "player/download/assembly.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "manifests/digest.h"

namespace kvcast::player {

TransferRequest Assembly::ask(std::string url, size_t base, uint64_t offset) const {
  TransferRequest request;
  request.url = std::move(url);
  if (!object_) {
    request.accept_compressed = true;
    request.size_limit_bytes = limit_bytes_;
    return request;
  }
  request.size_limit_bytes = object_->bytes;
  request.expected_bytes = object_->bytes - offset;
  if (offset > 0) {
    request.range = ByteRange{offset, std::nullopt};
    const bool same_base = sources_.size() == 1 && sources_.front() == base;
    if (same_base && !etag_.empty()) request.headers.push_back("If-Range: " + etag_);
  }
  return request;
}

std::optional<Assembly::Misfit> Assembly::check(const ResponseHeaders& headers,
                                                uint64_t offset) const {
  if (!object_) return std::nullopt;
  const uint64_t expected = object_->bytes;
  const bool partial = headers.status == 206;
  const auto length = partial ? headers.range_total : headers.content_length;
  if (length && *length != expected) {
    return Misfit{fmt::format("{} bytes where the manifest says {}", *length, expected), true};
  }
  if (partial && headers.range_first != offset) {
    return Misfit{fmt::format("a range that starts elsewhere than at byte {}", offset)};
  }
  return std::nullopt;
}

uint64_t Assembly::held(const ResponseHeaders& headers, uint64_t offset, uint64_t body_bytes) {
  return headers.status == 206 ? offset + body_bytes : body_bytes;
}

void Assembly::take(const ResponseHeaders& headers, uint64_t offset, size_t base,
                    std::vector<std::byte> body) {
  const bool goes_on = headers.status == 206 && offset > 0;
  if (!goes_on) {
    if (body.size() <= bytes_.size()) return;
    bytes_ = std::move(body);
    sources_ = {base};
    etag_ = headers.etag.starts_with("W/") ? "" : headers.etag;
    return;
  }
  if (offset > bytes_.size() || offset + body.size() <= bytes_.size()) return;
  const auto fresh = static_cast<ptrdiff_t>(bytes_.size() - offset);
  bytes_.insert(bytes_.end(), body.begin() + fresh, body.end());
  if (std::find(sources_.begin(), sources_.end(), base) == sources_.end()) {
    sources_.push_back(base);
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
