#include "kernels/plane/named_inputs.h"

#include <cmath>

#include "kernels/entropy/random_table.h"
#include "kernels/plane/laplace_classes.h"

namespace kvcast::kernels {
namespace {

double laplace(std::mt19937& random, double scale) {
  const double u = (below(random, 1u << 24) + 0.5) / (1u << 24);
  return (below(random, 2) == 0 ? scale : -scale) * -std::log(u);
}

}  // namespace

std::vector<NamedInput> named_inputs() {
  const auto of_scale = [](double scale) {
    return [scale](std::mt19937& random, uint32_t, uint32_t) { return laplace(random, scale); };
  };
  return {
      {"flat", 200, 256, {2, 1, 0}, of_scale(40)},
      {"peaked", 300, 256, {2, 1, 0}, of_scale(0.3)},
      {"many streams", 1024, 512, {3, 2, 1, 0}, of_scale(6)},
      {"escape-heavy", 150, 128, {3, 2, 1, 0}, of_scale(900)},
      {"wide escapes", 100, 96, {3, 0}, of_scale(3e6)},
      {"some wide escapes",
       120,
       128,
       {3, 2, 1, 0},
       [](std::mt19937& random, uint32_t, uint32_t) {
         return laplace(random, below(random, 300) == 0 ? 1e8 : 3);
       }},
      {"ragged tail", 77, 145, {2, 0}, of_scale(5)},
      {"narrow last group", 130, 33, {1, 0}, of_scale(4)},
      {"one narrow group", 500, 5, {2, 1, 0}, of_scale(4)},
      {"empty groups",
       256,
       320,
       {2, 1, 0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return channel / 32 % 3 == 0 ? laplace(random, 5) : 0.0;
       }},
      {"empty base",
       256,
       256,
       {3, 2, 1, 0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return channel / 32 % 2 == 0 ? laplace(random, 0.7) : laplace(random, 8);
       }},
      {"one symbol", 64, 64, {1, 0}, [](std::mt19937&, uint32_t, uint32_t) { return 3.0; }},
      {"nothing but zeros", 64, 64, {1, 0}, [](std::mt19937&, uint32_t, uint32_t) { return 0.0; }},
      {"more passes than are fused", 200, 320, {6, 3, 0}, of_scale(60)},
      {"many passes, wide escapes", 120, 160, {5, 1, 0}, of_scale(3e5)},
      {"many passes, empty parts",
       90,
       224,
       {6, 5, 4, 0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return channel / 32 % 3 == 0 ? 0.0 : laplace(random, channel / 32 % 3 == 1 ? 4 : 200);
       }},
      {"many passes, narrow last group", 70, 145, {5, 0}, of_scale(5000)},
      {"narrow last group, escapes", 300, 49, {3, 2, 1, 0}, of_scale(200)},
      {"narrow last group, lone base", 300, 95, {0}, of_scale(9)},
      {"lone base with escapes",
       300,
       256,
       {0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return laplace(random, channel / 64 % 2 == 0 ? 8 : 40);
       }},
      {"two tokens", 2, 96, {3, 2, 1, 0}, of_scale(30)},
      {"three tokens", 3, 96, {3, 2, 1, 0}, of_scale(30)},
      {"one token", 1, 256, {2, 1, 0}, of_scale(10)},
      {"one level", 333, 192, {0}, of_scale(2)},
      {"planes without passes", 100, 128, {1, 1, 0, 0}, of_scale(5)},
      {"mixed classes",
       400,
       640,
       {3, 2, 1, 0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return laplace(random, std::exp2(channel / 32 % 7) / 2);
       }},
  };
}

Profile profile_of(const NamedInput& input) {
  Profile profile;
  profile.geometry = {1, 1, input.channels, 1, input.channels};
  profile.levels = static_cast<uint32_t>(input.drop_bits.size());
  profile.sink_tokens = 0;
  profile.layer_rope = {kNoRope};
  profile.groups = {{0, 1}};
  SectionCodec section;
  section.rounding = 0.45f;
  section.drop_bits = input.drop_bits;
  for (uint32_t c = 0; c < input.channels; ++c) {
    section.mean.push_back(0.0f);
    section.scale.push_back(1.0f);
    section.order.push_back(c);
  }
  profile.sections = {section, section};
  std::vector<double> scales;
  for (double scale = 0.2; scale < 100; scale *= 2) scales.push_back(scale);
  profile.classes = laplace_classes(scales, 0.45, profile.passes());
  return profile;
}

std::vector<float> draw_values(const NamedInput& input, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> kv;
  for (uint32_t t = 0; t < input.tokens; ++t) {
    for (uint32_t c = 0; c < input.channels; ++c)
      kv.push_back(static_cast<float>(input.draw(random, t, c)));
  }
  return kv;
}

TensorView view_of(const NamedInput& input, const std::vector<float>& kv) {
  return {reinterpret_cast<const std::byte*>(kv.data()), size_t{input.channels} * sizeof(float)};
}

}  // namespace kvcast::kernels
