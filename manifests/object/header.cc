#include "manifests/object/header.h"

#include <fmt/format.h>

#include <algorithm>

#include "manifests/bytes/little_endian.h"

namespace kvcast::manifests {
namespace {

constexpr std::array<uint8_t, 8> kMagic = {0x89, 'K', 'V', 'O', '\r', '\n', 0x1a, '\n'};
constexpr size_t kProfileOffset = 64;

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

bool has_magic(std::span<const std::byte> bytes) {
  return std::equal(kMagic.begin(), kMagic.end(), bytes.begin(),
                    [](uint8_t a, std::byte b) { return std::byte{a} == b; });
}

std::string tokens_fault(const ObjectHeader& header) {
  const uint32_t limit = header.kind == ObjectKind::kText      ? kMaxTextTokens
                         : header.kind == ObjectKind::kProfile ? 0
                                                               : kMaxChunkTokens;
  const uint32_t least = header.kind == ObjectKind::kProfile ? 0 : 1;
  if (header.token_count < least || header.token_count > limit) {
    return fmt::format("{} tokens at byte 32; expected {} to {}", header.token_count, least, limit);
  }
  if (header.token_begin >= kMaxFirstToken) {
    return fmt::format("first token {} at byte 24; expected less than 2^40", header.token_begin);
  }
  return {};
}

}  // namespace

void store_header(const ObjectHeader& header, const Frame& frame, std::span<std::byte> to) {
  std::transform(kMagic.begin(), kMagic.end(), to.begin(), [](uint8_t b) { return std::byte{b}; });
  store_le(to, 8, kObjectVersion);
  store_le(to, 10, static_cast<uint8_t>(header.kind));
  store_le(to, 11, header.plane);
  store_le(to, 12, frame.sections);
  store_le(to, 16, frame.object_bytes);
  store_le(to, 24, header.token_begin);
  store_le(to, 32, header.token_count);
  store_le(to, 36, header.dtype);
  store_le(to, 38, header.layers);
  store_le(to, 40, header.key_heads);
  store_le(to, 42, header.key_dim);
  store_le(to, 44, header.value_heads);
  store_le(to, 46, header.value_dim);
  std::copy(header.profile.bytes.begin(), header.profile.bytes.end(),
            to.subspan(kProfileOffset).begin());
}

void store_entry(const SectionEntry& entry, std::span<std::byte> to) {
  store_le(to, 0, entry.kind);
  store_le(to, 2, entry.group);
  store_le(to, 4, entry.side);
  store_le(to, 8, entry.offset);
  store_le(to, 16, entry.bytes);
  store_le(to, 24, entry.xxh3);
}

std::string load_frame(std::span<const std::byte> bytes, Frame& frame) {
  if (bytes.size() < kObjectHeaderBytes) {
    return fmt::format("{} bytes, too short for the {}-byte header; fetch it again", bytes.size(),
                       kObjectHeaderBytes);
  }
  if (!has_magic(bytes)) return "no object magic at byte 0; not a kvcast object";
  const auto version = load_le<uint16_t>(bytes, 8);
  if (version != kObjectVersion) {
    return fmt::format(
        "format version {} at byte 8, this build reads version {}; use a matching kvcast or pack "
        "the context again",
        version, kObjectVersion);
  }
  frame.sections = load_le<uint32_t>(bytes, 12);
  if (frame.sections < 1 || frame.sections > kMaxSections) {
    return fmt::format("{} sections at byte 12; expected 1 to {}", frame.sections, kMaxSections);
  }
  frame.object_bytes = load_le<uint64_t>(bytes, 16);
  if (frame.object_bytes != bytes.size()) {
    return fmt::format("{} bytes here, but the header says {} at byte 16; fetch it again", bytes.size(),
                       frame.object_bytes);
  }
  if (frame.object_bytes > kMaxObjectBytes) {
    return fmt::format("{} bytes, more than the limit of 2^40", frame.object_bytes);
  }
  if (frame.sections > (bytes.size() - kObjectHeaderBytes) / kSectionEntryBytes) {
    return fmt::format("{} sections at byte 12 do not fit in {} bytes", frame.sections,
                       bytes.size());
  }
  return {};
}

std::string load_header(std::span<const std::byte> bytes, ObjectHeader& header) {
  const auto kind = load_le<uint8_t>(bytes, 10);
  if (kind < 1 || kind > 4) {
    return fmt::format("object kind {} at byte 10; expected 1 (plane) to 4 (text)", kind);
  }
  header.kind = static_cast<ObjectKind>(kind);
  header.plane = load_le<uint8_t>(bytes, 11);
  header.token_begin = load_le<uint64_t>(bytes, 24);
  header.token_count = load_le<uint32_t>(bytes, 32);
  header.dtype = load_le<uint8_t>(bytes, 36);
  header.layers = load_le<uint16_t>(bytes, 38);
  header.key_heads = load_le<uint16_t>(bytes, 40);
  header.key_dim = load_le<uint16_t>(bytes, 42);
  header.value_heads = load_le<uint16_t>(bytes, 44);
  header.value_dim = load_le<uint16_t>(bytes, 46);
  std::copy_n(bytes.begin() + kProfileOffset, 32, header.profile.bytes.begin());
  struct Range {
    size_t offset, bytes;
  };
  for (const Range reserved : {Range{37, 1}, Range{48, 8}, Range{96, 32}}) {
    if (!all_zero(bytes.subspan(reserved.offset, reserved.bytes))) {
      return fmt::format(
          "reserved bytes {} to {} are not zero: this build cannot honour what they ask for; use a "
          "newer kvcast",
          reserved.offset, reserved.offset + reserved.bytes - 1);
    }
  }
  return header_fault(header);
}

std::string load_entry(std::span<const std::byte> bytes, size_t index, SectionEntry& entry) {
  const size_t at = kObjectHeaderBytes + index * kSectionEntryBytes;
  entry.kind = load_le<uint16_t>(bytes, at);
  entry.group = load_le<uint16_t>(bytes, at + 2);
  entry.side = load_le<uint8_t>(bytes, at + 4);
  entry.offset = load_le<uint64_t>(bytes, at + 8);
  entry.bytes = load_le<uint64_t>(bytes, at + 16);
  entry.xxh3 = load_le<uint64_t>(bytes, at + 24);
  if (entry.side > 1) {
    return fmt::format("section {}: side {} at byte {}; expected 0 or 1", index, entry.side,
                       at + 4);
  }
  if (!all_zero(bytes.subspan(at + 5, 3))) {
    return fmt::format("section {}: reserved bytes {} to {} are not zero; use a newer kvcast",
                       index, at + 5, at + 7);
  }
  return {};
}

std::string header_fault(const ObjectHeader& header) {
  const bool is_plane = header.kind == ObjectKind::kPlane;
  const bool is_text = header.kind == ObjectKind::kText;
  const bool has_elements = is_plane || header.kind == ObjectKind::kExact;
  if (header.plane > (is_plane ? 7 : 0)) {
    return fmt::format("plane number {} at byte 11; expected {}", header.plane,
                       is_plane ? "0 to 7" : "0 in an object that is no plane");
  }
  if (std::string fault = tokens_fault(header); !fault.empty()) return fault;
  if (!has_elements && header.token_begin != 0) {
    return fmt::format("first token {} at byte 24; expected 0 in a profile or text",
                       header.token_begin);
  }
  if (has_elements ? header.dtype < 1 || header.dtype > 5 : header.dtype != 0) {
    return fmt::format(
        "element type {} at byte 36; expected {}", header.dtype,
        has_elements ? "1 (F16), 2 (BF16), 3 (F32), 4 (F8_E4M3) or 5 (F8_E5M2)" : "0");
  }
  const int geometry =
      header.layers | header.key_heads | header.key_dim | header.value_heads | header.value_dim;
  if (is_text && geometry != 0) return "geometry at byte 38 of a text object; expected zeros";
  if (!is_plane && header.profile != Digest{}) {
    return "profile digest at byte 64; expected zeros in an object that is no plane";
  }
  return {};
}

uint64_t header_hash(std::span<const std::byte> head) {
  std::vector<std::byte> copy(head.begin(), head.end());
  store_le(std::span(copy), kHeaderHashOffset, uint64_t{0});
  return xxh3(copy);
}

}  // namespace kvcast::manifests
