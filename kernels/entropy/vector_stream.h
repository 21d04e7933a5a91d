// Test helper: a stream for vector kernels, and the scalar decoder that they have to match.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/entropy/rans.h"
#include "kernels/implementation/vector_kernels.h"

namespace kvcast::kernels {

inline std::vector<Implementation> vector_implementations() {
  std::vector<Implementation> found;
  for (const Implementation implementation : implementations()) {
    if (runs_here(implementation) && vector_kernels(implementation))
      found.push_back(implementation);
  }
  return found;
}

// A stream, readable past its end, and a scalar decoder that stands beside the vector one.
struct VectorStream {
  VectorStream(std::vector<std::byte> encoded, uint32_t lanes) : bytes(std::move(encoded)) {
    const size_t size = bytes.size();
    bytes.resize(size + kReadAhead, std::byte{0xEE});
    scalar.emplace(*RansDecoder::open(std::span(bytes).first(size), lanes));
    cursor = scalar->cursor();
  }
  void expect_same_state(const std::string& where) const {
    const RansCursor expected = scalar->cursor();
    EXPECT_TRUE(std::equal(expected.states, expected.states + kLanes, cursor.states)) << where;
    EXPECT_EQ(expected.next, cursor.next) << where;
  }
  std::vector<std::byte> bytes;
  std::optional<RansDecoder> scalar;
  RansCursor cursor;
};

}  // namespace kvcast::kernels
