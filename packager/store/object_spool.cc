#include "packager/store/object_spool.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace kvcast::packager {
namespace {

using manifests::Result;
using manifests::StagedFile;
using manifests::Status;

constexpr size_t kPieceBytes = 1 << 20;

Result<manifests::Digest> digest_of(const StagedFile& file, uint64_t bytes) {
  manifests::Sha256 hash;
  std::vector<std::byte> piece(std::min<uint64_t>(bytes, kPieceBytes));
  for (uint64_t at = 0; at < bytes; at += piece.size()) {
    const auto part = std::span(piece).first(std::min<uint64_t>(piece.size(), bytes - at));
    if (Status read = file.read(at, part); !read.ok()) return read.error();
    hash.update(part);
  }
  return hash.finish();
}

}  // namespace

ObjectSpool::ObjectSpool(const manifests::ObjectHeader& header, StagedFile file, size_t sections)
    : header_(header),
      file_(std::move(file)),
      section_count_(sections),
      end_(manifests::object_head_bytes(sections)) {
  sections_.reserve(sections);
}

Result<ObjectSpool> ObjectSpool::create(ObjectStore& store, const manifests::ObjectHeader& header,
                                        size_t sections) {
  Result<StagedFile> file = store.stage();
  if (!file.ok()) return file.error();
  return ObjectSpool(header, std::move(*file), sections);
}

Status ObjectSpool::append(kernels::SectionId id, std::span<const std::byte> bytes) {
  static constexpr std::array<std::byte, 8> kZeros{};
  const uint64_t offset = (end_ + 7) / 8 * 8;
  if (Status padded = file_.write(end_, std::span(kZeros).first(offset - end_)); !padded.ok()) {
    return padded;
  }
  if (Status written = file_.write(offset, bytes); !written.ok()) return written;
  end_ = offset + bytes.size();
  sections_.push_back({static_cast<uint16_t>(id.kind), id.group, static_cast<uint8_t>(id.side),
                       bytes.size(), manifests::xxh3(bytes)});
  return {};
}

Result<FinishedObject> ObjectSpool::finish() && {
  if (sections_.size() != section_count_) throw std::logic_error("object without all its sections");
  const auto head = manifests::write_object_head(header_, sections_);
  if (Status written = file_.write(0, head); !written.ok()) return written.error();
  const auto digest = digest_of(file_, end_);
  if (!digest.ok()) return digest.error();
  return FinishedObject{std::move(file_), {*digest, end_}};
}

}  // namespace kvcast::packager
