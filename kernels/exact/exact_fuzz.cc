// Exact sections: any bytes are a fault or a tensor, and a tensor comes back as it was. Four bytes
// choose the type and the shape; then the section itself, or, where the first byte's top bit is
// set, edits to a good one.
#include <random>
#include <vector>

#include "kernels/exact.h"
#include "tests/fuzz/edits.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace kvcast::kernels;
using Bytes = std::vector<std::byte>;

constexpr uint8_t kByEdits = 0x80;

struct Shape {
  DType dtype;
  uint32_t tokens, channels;
  size_t row_bytes() const { return channels * dtype_bytes(dtype); }
};

// Values of a bell curve, so that exponents are worth coding.
Bytes good_section(const Shape& shape) {
  std::mt19937 random(shape.tokens * 257 + shape.channels);
  std::vector<float> values(shape.tokens * shape.channels);
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 2001) - 1000);
  Bytes tensor(shape.tokens * shape.row_bytes());
  store_f32(shape.dtype, values, tensor.data());
  return encode_exact(shape.dtype, shape.tokens, shape.channels,
                      {tensor.data(), shape.row_bytes()});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const Shape shape{kDTypes[(data[0] & 0x7F) % std::size(kDTypes)],
                    1u + data[1] + 4u * (data[2] & 0x3F), 1u + data[3]};
  const std::span input(data + 4, size - 4);
  Bytes section;
  if (data[0] & kByEdits) {
    section = good_section(shape);
    kvcast::fuzz::apply_edits(section, input);
  } else {
    const auto given = std::as_bytes(input);
    section.assign(given.begin(), given.end());
  }

  Bytes tensor(shape.tokens * shape.row_bytes());
  const auto decode = [&](std::span<const std::byte> from, Bytes& to) {
    return decode_exact(shape.dtype, shape.tokens, shape.channels, from,
                        {to.data(), shape.row_bytes()})
        .ok();
  };
  if (!decode(section, tensor)) return 0;
  const Bytes encoded =
      encode_exact(shape.dtype, shape.tokens, shape.channels, {tensor.data(), shape.row_bytes()});
  Bytes back(tensor.size());
  kvcast::fuzz::expect(decode(encoded, back) && back == tensor,
                       "a tensor survives the exact coder");
  return 0;
}
