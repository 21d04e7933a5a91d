// Loops of FinishKernels, written once over the vectors of an instruction set: see column_loops.h.
// `Isa` has a Vector of kLanes floats, load(), fuse(scale, u, mean), swap(a, b), of two vectors'
// elements every two beside each other, and store_bf16(), _f16() and _f32(), of two vectors.
#pragma once

#include <cstring>

#include "kernels/transform/inverse_kernels.h"

namespace kvcast::kernels {
namespace {

[[maybe_unused]] void narrow_to_bf16(const float* __restrict from, size_t count,
                                     uint16_t* __restrict to) {
  for (size_t i = 0; i < count; ++i) {
    const auto bits = __builtin_bit_cast(uint32_t, from[i]);
    const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    const uint32_t cut = bits >> 16;
    const uint32_t nan = cut | ((cut & 0x7F) == 0 ? 0x40u : 0u);
    to[i] = static_cast<uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded);
  }
}

[[maybe_unused]] void narrow_to_f16(const float* __restrict from, size_t count,
                                    uint16_t* __restrict to) {
  for (size_t i = 0; i < count; ++i) {
    const auto bits = __builtin_bit_cast(uint32_t, from[i]);
    const uint32_t sign = (bits >> 16) & 0x8000;
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    const uint32_t subnormal = __builtin_bit_cast(uint32_t, shifted) - 0x3F000000;
    const uint32_t normal = (magnitude + 0xFFF + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
    const uint32_t payload = (magnitude >> 13) & 0x3FF;
    const uint32_t nan = 0x7C00 | payload | (payload == 0 ? 0x200u : 0u);
    uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
    half = magnitude >= 0x477FF000 ? 0x7C00 : half;
    half = magnitude > 0x7F800000 ? nan : half;
    to[i] = static_cast<uint16_t>(sign | half);
  }
}

// For instruction sets without instructions for this.
template <auto narrow, typename Vector>
void narrow_and_store(Vector a, Vector b, std::byte* to) {
  constexpr size_t kCount = 2 * sizeof(Vector) / sizeof(float);
  float wide[kCount];
  uint16_t narrowed[kCount];
  std::memcpy(wide, &a, sizeof(a));
  std::memcpy(wide + kCount / 2, &b, sizeof(b));
  narrow(wide, kCount, narrowed);
  std::memcpy(to, narrowed, sizeof(narrowed));
}

enum class Element { kBf16, kF16, kF32 };

// Runs of elements of a row in steps of two vectors; the last, shorter step is done on copies.
template <typename Isa, Element kElement>
struct Finish {
  using Vector = typename Isa::Vector;
  static constexpr size_t kBytes = kElement == Element::kF32 ? 4 : 2;
  static constexpr size_t kLanes = Isa::kLanes, kStep = 2 * kLanes;

  static void store(Vector a, Vector b, std::byte* to) {
    if constexpr (kElement == Element::kBf16) Isa::store_bf16(a, b, to);
    if constexpr (kElement == Element::kF16) Isa::store_f16(a, b, to);
    if constexpr (kElement == Element::kF32) Isa::store_f32(a, b, to);
  }

  template <size_t kIn, size_t kOut, typename Body>
  static void in_steps(size_t count, const float* const (&in)[kIn], std::byte* const (&out)[kOut],
                       Body body) {
    size_t i = 0;
    for (; i + kStep <= count; i += kStep) {
      const float* from[kIn];
      std::byte* to[kOut];
      for (size_t k = 0; k < kIn; ++k) from[k] = in[k] + i;
      for (size_t k = 0; k < kOut; ++k) to[k] = out[k] + i * kBytes;
      body(from, to);
    }
    if (i == count) return;
    float copies[kIn][kStep] = {};
    std::byte results[kOut][kStep * kBytes];
    const float* from[kIn];
    std::byte* to[kOut];
    for (size_t k = 0; k < kIn; ++k) {
      std::memcpy(copies[k], in[k] + i, (count - i) * sizeof(float));
      from[k] = copies[k];
    }
    for (size_t k = 0; k < kOut; ++k) to[k] = results[k];
    body(from, to);
    for (size_t k = 0; k < kOut; ++k)
      std::memcpy(out[k] + i * kBytes, results[k], (count - i) * kBytes);
  }

  static Vector shifted(const float* u, const float* scale, const float* mean) {
    return Isa::fuse(Isa::load(scale), Isa::load(u), Isa::load(mean));
  }

  // Channels of one token, from each pointer on.
  struct Row {
    const float* u;
    const float* scale;
    const float* mean;
    std::byte* to;
    Row operator+(size_t n) const { return {u + n, scale + n, mean + n, to + n * kBytes}; }
  };

  static void without_rope(const Row& row, size_t count) {
    in_steps<3, 1>(count, {row.u, row.scale, row.mean}, {row.to}, [](auto& in, auto& out) {
      store(shifted(in[0], in[1], in[2]), shifted(in[0] + kLanes, in[1] + kLanes, in[2] + kLanes),
            out[0]);
    });
  }

  static void half_split(const Row& a, const Row& b, const float* cosine, const float* sine,
                         size_t pairs) {
    in_steps<8, 2>(pairs, {a.u, a.scale, a.mean, b.u, b.scale, b.mean, cosine, sine}, {a.to, b.to},
                   [](auto& in, auto& out) {
                     Vector first[2], second[2];
                     for (size_t v = 0; v < 2; ++v) {
                       const size_t i = v * kLanes;
                       const Vector x = shifted(in[0] + i, in[1] + i, in[2] + i);
                       const Vector y = shifted(in[3] + i, in[4] + i, in[5] + i);
                       const Vector c = Isa::load(in[6] + i), s = Isa::load(in[7] + i);
                       first[v] = x * c - y * s;
                       second[v] = x * s + y * c;
                     }
                     store(first[0], first[1], out[0]);
                     store(second[0], second[1], out[1]);
                   });
  }

  static void interleaved(const Row& row, const float* cosine, const float* sine, size_t pairs) {
    in_steps<5, 1>(
        2 * pairs, {row.u, row.scale, row.mean, cosine, sine}, {row.to}, [](auto& in, auto& out) {
          const Vector a = shifted(in[0], in[1], in[2]);
          const Vector b = shifted(in[0] + kLanes, in[1] + kLanes, in[2] + kLanes);
          Vector other_a = a, other_b = b;
          Isa::swap(other_a, other_b);
          store(a * Isa::load(in[3]) + other_a * Isa::load(in[4]),
                b * Isa::load(in[3] + kLanes) + other_b * Isa::load(in[4] + kLanes), out[0]);
        });
  }

  static void finish(const HeadRows& rows) {
    for (size_t t = 0; t < rows.tokens; ++t) {
      Row head{rows.sums + t * rows.stride, rows.scale, rows.mean, rows.to + t * rows.to_stride};
      const Rotation* const rope = rows.rotation;
      if (!rope) {
        without_rope(head, rows.heads * rows.dim);
        continue;
      }
      const float* const cosine = rope->cosine + t * rope->stride;
      const float* const sine = rope->sine + t * rope->stride;
      const size_t first = rope->first_dim, end = first + 2 * rope->pairs;
      for (size_t h = 0; h < rows.heads; ++h, head = head + rows.dim) {
        without_rope(head, first);
        if (rope->interleaved) {
          interleaved(head + first, cosine, sine, rope->pairs);
        } else {
          half_split(head + first, head + first + rope->pairs, cosine, sine, rope->pairs);
        }
        without_rope(head + end, rows.dim - end);
      }
    }
  }
};

template <typename Isa>
constexpr FinishKernels finish_kernels() {
  return {Finish<Isa, Element::kBf16>::finish, Finish<Isa, Element::kF16>::finish,
          Finish<Isa, Element::kF32>::finish};
}

}  // namespace
}  // namespace kvcast::kernels
