// Where a channel of a token lies in the engine's tensor, and how an element is stored there.
#pragma once

#include "kernels/cuda/arguments.cuh"
#include "kernels/cuda/tiles.h"
#include "kernels/dtype.h"

namespace kvcast::kernels {
namespace {

KVCAST_DEVICE const LayerTask& layer_of(const DecodeArguments& arguments,
                                        const DecodeSection& section, uint32_t layer) {
  return at<LayerTask>(arguments.descriptors, section.layers)[layer];
}

// Of a slot, beside the layer's base; head 0, dim 0.
KVCAST_DEVICE uint64_t slot_bytes(const DecodeArguments& arguments, const DecodeSection& section,
                                  uint32_t slot) {
  if (section.block_tokens == 0) return slot * section.token_bytes;
  const auto block = static_cast<uint64_t>(
      at<int32_t>(arguments.descriptors, section.block_table)[slot / section.block_tokens]);
  return block * section.block_bytes + slot % section.block_tokens * section.token_bytes;
}

// Where head `head` of a slot begins.
KVCAST_DEVICE std::byte* place_of(const DecodeArguments& arguments, const DecodeSection& section,
                                  uint32_t layer, uint32_t slot, uint32_t head) {
  return reinterpret_cast<std::byte*>(layer_of(arguments, section, layer).data) +
         slot_bytes(arguments, section, slot) + head * section.head_bytes;
}

// Rounds to nearest even, as kernels/dtype.h does. x is a number or an infinity.
KVCAST_DEVICE uint32_t to_bf16(float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  return (bits & 0x7FFFFFFF) > 0x7F800000 ? bits >> 16 | 0x40 : rounded;
}
KVCAST_DEVICE uint32_t to_f16(float x) {
  const uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return sign | 0x7E00;
  if (magnitude >= 0x477FF000) return sign | 0x7C00;
  if (magnitude < 0x38800000) return sign | (bits_of(add(float_of(magnitude), 0.5f)) - 0x3F000000);
  return sign | (magnitude + 0xFFF + (magnitude >> 13 & 1) - 0x38000000) >> 13;
}

template <DType kType>
KVCAST_DEVICE void store_element(std::byte* to, float x) {
  if constexpr (kType == DType::kF32) {
    *reinterpret_cast<float*>(to) = x;
  } else {
    *reinterpret_cast<uint16_t*>(to) =
        static_cast<uint16_t>(kType == DType::kBf16 ? to_bf16(x) : to_f16(x));
  }
}

// Eight dims that follow each other.
template <DType kType>
KVCAST_DEVICE void store_eight(std::byte* to, const float (&x)[8], bool aligned) {
  if (!aligned) {
    KVCAST_UNROLL
    for (uint32_t i = 0; i < 8; ++i) store_element<kType>(to + i * dtype_bytes(kType), x[i]);
  } else if constexpr (kType == DType::kF32) {
    store_once(to, {{bits_of(x[0]), bits_of(x[1]), bits_of(x[2]), bits_of(x[3])}});
    store_once(to + 16, {{bits_of(x[4]), bits_of(x[5]), bits_of(x[6]), bits_of(x[7])}});
  } else {
    Bytes16 bytes;
    KVCAST_UNROLL
    for (uint32_t i = 0; i < 4; ++i) {
      bytes.word[i] = kType == DType::kBf16 ? to_bf16(x[2 * i]) | to_bf16(x[2 * i + 1]) << 16
                                            : to_f16(x[2 * i]) | to_f16(x[2 * i + 1]) << 16;
    }
    store_once(to, bytes);
  }
}

// The other element of a dim's pair, and which of the two the dim is.
struct RopePair {
  bool rotates = false;
  bool is_second = false;
  uint32_t other = 0, index = 0;

  KVCAST_DEVICE RopePair(const RopeImage& rope, uint32_t dim) {
    const uint32_t at_dim = dim - rope.first_dim;
    rotates = dim >= rope.first_dim && at_dim < 2 * rope.pairs;
    if (!rotates) return;
    if (rope.interleaved) {
      is_second = (at_dim & 1) != 0;
      other = rope.first_dim + (at_dim ^ 1);
      index = at_dim / 2;
    } else {
      is_second = at_dim >= rope.pairs;
      other = is_second ? dim - rope.pairs : dim + rope.pairs;
      index = is_second ? at_dim - rope.pairs : at_dim;
    }
  }
};

// x turned with the other element of its pair; angle: cosine, sine.
KVCAST_DEVICE float turned(float x, float other, const float* angle, bool is_second,
                           float scaling) {
  const float along = multiply(x, angle[0]), across = multiply(other, angle[1]);
  return multiply(scaling, is_second ? add(across, along) : subtract(along, across));
}

KVCAST_DEVICE const RopeImage& rope_image(const DecodeArguments& arguments, uint32_t rope) {
  return at<RopeImage>(arguments.profile, at<ProfileImage>(arguments.profile, 0)->ropes)[rope];
}

}  // namespace
}  // namespace kvcast::kernels
