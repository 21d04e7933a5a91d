// Scale, shift, RoPE and narrowing, in rows of every length.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/entropy/random_table.h"
#include "kernels/implementation/transform_kernels.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels {
namespace {

using Finish = void (*)(const HeadRows&);

// u narrowed as it is: scale 1, and a mean of -0, so that no sign changes.
std::vector<uint16_t> narrowed(Finish finish, const std::vector<float>& u) {
  const std::vector<float> scale(u.size(), 1.0f), mean(u.size(), -0.0f);
  std::vector<uint16_t> narrow(u.size());
  finish({u.data(), u.size(), 1, 1, u.size(), scale.data(), mean.data(), nullptr,
          reinterpret_cast<std::byte*>(narrow.data()), 0});
  return narrow;
}

TEST(FinishKernels, NarrowAsDTypesDo) {
  std::mt19937 random(53);
  std::vector<float> wide;
  for (int i = 0; i < 200000; ++i)
    wide.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  for (uint32_t half = 0; half < 65536; ++half) {  // at and beside every half-way point of f16
    const float x = f16_to_f32(static_cast<uint16_t>(half));
    for (const uint32_t offset : {0u, 0xFFFu, 0x1000u, 0x1001u})
      wide.push_back(std::bit_cast<float>(std::bit_cast<uint32_t>(x) + offset));
  }
  for (const auto& [name, kernels] : transform_kernels_here()) {
    const std::vector<uint16_t> bf16 = narrowed(kernels.finish->to_bf16, wide);
    const std::vector<uint16_t> f16 = narrowed(kernels.finish->to_f16, wide);
    for (size_t i = 0; i < wide.size(); ++i) {
      if (std::isnan(wide[i])) {
        ASSERT_TRUE(std::isnan(bf16_to_f32(bf16[i])) && std::isnan(f16_to_f32(f16[i]))) << name;
        continue;
      }
      ASSERT_EQ(f16[i], f32_to_f16(wide[i])) << name << " " << wide[i];
      if (std::fpclassify(wide[i]) == FP_SUBNORMAL) {  // may count as zero
        ASSERT_NEAR(bf16_to_f32(bf16[i]), wide[i], 0x1p-126f) << name;
      } else {
        ASSERT_EQ(bf16[i], f32_to_bf16(wide[i])) << name << " " << wide[i];
      }
    }
  }
}

// Some heads of some tokens in rows with gaps.
struct Case {
  size_t tokens, heads, dim, pairs, first_dim;
  bool interleaved;
};

Case random_case(std::mt19937& random) {
  Case c{1 + below(random, 5), 1 + below(random, 3), 2 * (1 + below(random, 70)), 0, 0,
         below(random, 2) == 0};
  c.pairs = below(random, 4) == 0 ? c.dim / 2 : below(random, c.dim / 2 + 1);
  c.first_dim = below(random, c.dim - 2 * c.pairs + 1);
  return c;
}

std::vector<float> draw(std::mt19937& random, size_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> drawn(count);
  for (float& x : drawn) x = normal(random);
  return drawn;
}

// Partner of a dim in its pair and the sign of its sine; the dim itself where it is not turned.
size_t partner(const Case& c, size_t d, size_t& pair, double& sign) {
  if (d < c.first_dim || d >= c.first_dim + 2 * c.pairs) return d;
  const size_t i = d - c.first_dim;
  const bool first = c.interleaved ? i % 2 == 0 : i < c.pairs;
  pair = c.interleaved ? i / 2 : i % c.pairs;
  sign = first ? -1 : 1;
  const size_t apart = c.interleaved ? 1 : c.pairs;
  return first ? d + apart : d - apart;
}

void check(std::mt19937& random, const Case& c, Finish finish, DType dtype) {
  const size_t channels = c.heads * c.dim, bytes = dtype_bytes(dtype);
  const size_t stride = channels + below(random, 9),
               to_stride = channels * bytes + below(random, 9);
  const size_t floats = c.interleaved ? 2 * c.pairs : c.pairs;
  const auto u = draw(random, stride * c.tokens), scale = draw(random, channels);
  const auto mean = draw(random, channels);
  const auto cosines = draw(random, c.pairs * c.tokens), sines = draw(random, c.pairs * c.tokens);
  std::vector<float> cosine(floats * c.tokens), sine(cosine.size());
  for (size_t i = 0; i < cosine.size(); ++i) {
    cosine[i] = cosines[c.interleaved ? i / 2 : i];
    sine[i] = c.interleaved ? (i % 2 == 0 ? -1 : 1) * sines[i / 2] : sines[i];
  }
  const Rotation rotation{cosine.data(), sine.data(), floats, c.pairs, c.first_dim, c.interleaved};
  constexpr std::byte kGap{0xA5};
  std::vector<std::byte> to(to_stride * c.tokens, kGap);
  finish({u.data(), stride, c.tokens, c.heads, c.dim, scale.data(), mean.data(),
          c.pairs > 0 ? &rotation : nullptr, to.data(), to_stride});
  for (size_t t = 0; t < c.tokens; ++t) {
    const auto x = [&](size_t channel) {
      return double{scale[channel]} * u[t * stride + channel] + mean[channel];
    };
    for (size_t i = 0; i < channels; ++i) {
      size_t pair = 0;
      double sign = 0, expected = x(i), magnitude = std::abs(expected);
      const size_t head = i / c.dim * c.dim;
      if (const size_t other = head + partner(c, i % c.dim, pair, sign); other != i) {
        const double turned = x(i) * cosines[t * c.pairs + pair];
        const double added = sign * x(other) * sines[t * c.pairs + pair];
        expected = turned + added;
        magnitude = std::abs(turned) + std::abs(added);
      }
      float got = 0;
      load_f32(dtype, to.data() + t * to_stride + i * bytes, {&got, 1});
      const double place = dtype == DType::kF32 ? 0 : last_place(dtype) * std::abs(expected) / 2;
      ASSERT_NEAR(got, expected, place + 1e-6 * (magnitude + 1)) << t << " " << i;
    }
    for (size_t i = channels * bytes; i < to_stride; ++i) ASSERT_EQ(to[t * to_stride + i], kGap);
  }
}

TEST(FinishKernels, ScaleShiftAndTurnHeadsOfEveryShape) {
  std::mt19937 random(54);
  for (int trial = 0; trial < 200; ++trial) {
    const Case c = random_case(random);
    SCOPED_TRACE(testing::Message()
                 << c.heads << " heads of " << c.dim << ", " << c.pairs << " pairs from "
                 << c.first_dim << ", interleaved " << c.interleaved);
    for (const auto& [name, kernels] : transform_kernels_here()) {
      SCOPED_TRACE(name);
      check(random, c, kernels.finish->to_bf16, DType::kBf16);
      check(random, c, kernels.finish->to_f16, DType::kF16);
      check(random, c, kernels.finish->to_f32, DType::kF32);
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels
