#include "kernels/bytes/reader.h"

namespace kvcast::kernels {

void ByteReader::fail(std::string what) {
  if (!fault_) fault_ = Fault{std::move(what), position_};
}

void ByteReader::require(bool condition, const char* message) {
  if (!condition) fail(message);
}

std::span<const std::byte> ByteReader::take(uint64_t count) {
  if (fault_) return {};
  if (count > remaining()) {
    fail("ends early: " + std::to_string(count) + " bytes expected, " +
         std::to_string(remaining()) + " left");
    return {};
  }
  const std::span<const std::byte> taken = bytes_.subspan(position_, count);
  position_ += count;
  return taken;
}

void ByteReader::expect_zeros(uint64_t count) {
  for (const std::byte byte : take(count)) {
    if (byte != std::byte{0}) fail("a reserved or padding byte just before is not zero");
  }
}

void ByteReader::expect_padding(size_t multiple) {
  expect_zeros((multiple - position_ % multiple) % multiple);
}

Check ByteReader::finish() {
  if (!fault_ && remaining() > 0) fail(std::to_string(remaining()) + " bytes are left over");
  if (fault_) return *fault_;
  return {};
}

}  // namespace kvcast::kernels
