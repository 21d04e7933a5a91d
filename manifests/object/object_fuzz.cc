// Objects of every kind: as they are, and again with the hashes made right, so that the fuzzer gets
// past them.
#include <xxhash.h>

#include <algorithm>
#include <vector>

#include "manifests/bytes/little_endian.h"
#include "manifests/object.h"
#include "manifests/object/header.h"
#include "manifests/text.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace kvcast::manifests;
using Bytes = std::vector<std::byte>;

void read(std::span<const std::byte> bytes) {
  if (const auto text = read_text_object(bytes, "input")) {
    const auto again = read_text_object(write_text_object(*text), "written");
    kvcast::fuzz::expect(again.ok() && *again == *text, "a text survives writing");
  }
  const auto object = read_object(bytes, "input");
  if (!object) return;
  const Bytes written = write_object(object->header, object->sections);
  kvcast::fuzz::expect(std::ranges::equal(written, bytes), "an object has one form");
}

void make_hashes_right(Bytes& bytes) {
  Frame frame;
  if (bytes.size() < kObjectHeaderBytes || !load_frame(bytes, frame).empty()) return;
  const uint64_t head_bytes = kObjectHeaderBytes + uint64_t{frame.sections} * kSectionEntryBytes;
  if (head_bytes > bytes.size()) return;
  for (uint32_t i = 0; i < frame.sections; ++i) {
    SectionEntry entry;
    if (!load_entry(bytes, i, entry).empty()) return;
    if (entry.offset > bytes.size() || entry.bytes > bytes.size() - entry.offset) return;
    const uint64_t hash = XXH3_64bits(bytes.data() + entry.offset, entry.bytes);
    store_le(std::span(bytes), kObjectHeaderBytes + i * kSectionEntryBytes + 24, hash);
  }
  store_le(std::span(bytes), kHeaderHashOffset, header_hash(std::span(bytes).first(head_bytes)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  Bytes bytes(begin, begin + size);
  read(bytes);
  make_hashes_right(bytes);
  read(bytes);
  return 0;
}
