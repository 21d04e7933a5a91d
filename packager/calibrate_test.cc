#include "packager/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "kernels/dtype.h"
#include "packager/packager.h"
#include "packager/profile_object.h"
#include "packager/testing/folder.h"
#include "packager/testing/stored.h"
#include "packager/testing/synthetic_kv.h"

namespace kvcast::packager {
namespace {

using kernels::Side;
using testing::HasSubstr;

constexpr uint32_t kFactors = 6;

// Every channel of every layer mixes a few common factors, so that transforms pay, the wider the
// more. The mixture belongs to the model, the factors to the context.
std::vector<std::vector<std::byte>> correlated_tensors(const SyntheticKv& kv) {
  std::mt19937_64 model(7), context(kv.seed);
  std::normal_distribution<float> normal;
  std::vector<float> factors(size_t{kv.tokens} * kFactors);
  for (float& f : factors) f = normal(context);
  std::vector<std::vector<std::byte>> tensors;
  for (uint32_t i = 0; i < 2 * kv.geometry.layers; ++i) {
    const uint32_t channels = kv.geometry.channels(static_cast<Side>(i % 2));
    std::vector<float> mixture(size_t{channels} * kFactors), mean(channels);
    for (float& m : mixture) m = normal(model);
    for (float& m : mean) m = 3 * normal(model);
    std::vector<float> row(channels);
    auto& bytes = tensors.emplace_back(size_t{kv.tokens} * channels * 4);
    for (size_t t = 0; t < kv.tokens; ++t) {
      for (size_t c = 0; c < channels; ++c) {
        row[c] = mean[c] + 0.05f * normal(context);
        for (size_t f = 0; f < kFactors; ++f) {
          row[c] += mixture[c * kFactors + f] * factors[t * kFactors + f];
        }
      }
      kernels::store_f32(kernels::DType::kF32, row, bytes.data() + t * channels * 4);
    }
  }
  return tensors;
}

class Calibrate : public testing::Test {
 protected:
  Calibrate() {
    kv_.geometry = {3, 2, 16, 2, 16};
    kv_.dtype = kernels::DType::kF32;
    kv_.tokens = 700;
    kv_.rope = "none";
    for (const uint64_t seed : {1, 2}) {
      kv_.seed = seed;
      inputs_.push_back(folder_ / ("cache" + std::to_string(seed)));
      write_kv_file(inputs_.back(), kv_, correlated_tensors(kv_));
    }
    kv_.seed = 3;
    write_kv_file(unseen_ = folder_ / "unseen", kv_, correlated_tensors(kv_));
  }

  CalibrateParams params(TransformScope scope, uint32_t group_layers = 1) const {
    CalibrateParams params;
    params.inputs = inputs_;
    params.scope = scope;
    params.group_layers = group_layers;
    return params;
  }

  static CalibrateReport run(const CalibrateParams& params) {
    auto report = calibrate(params);
    if (!report.ok()) throw std::runtime_error(report.error().message);
    return std::move(*report);
  }

  struct Outcome {
    uint64_t bytes = 0;
    double mean_squared_error = 0;
  };
  // The unseen cache at its finest level.
  Outcome pack_unseen(const std::string& profile) {
    PackParams pack_params;
    pack_params.input = unseen_;
    pack_params.out = folder_ / ("store" + std::to_string(stores_++));
    pack_params.profile = profile;
    pack_params.include_text = false;
    const auto packed = pack(pack_params);
    if (!packed.ok()) throw std::runtime_error(packed.error().message);
    const Stored stored(pack_params.out + "/t/public", packed->manifest);
    const auto decoded = stored.decode(0, stored.profile().levels - 1);
    const auto original = correlated_tensors(kv_);
    double error = 0, elements = 0;
    for (size_t i = 0; i < original.size(); ++i) {
      std::vector<float> a(original[i].size() / 4), b(a.size());
      kernels::load_f32(kernels::DType::kF32, original[i].data(), a);
      kernels::load_f32(kernels::DType::kF32, decoded[i].data(), b);
      for (size_t e = 0; e < a.size(); ++e) error += double{a[e] - b[e]} * double{a[e] - b[e]};
      elements += static_cast<double>(a.size());
    }
    return {packed->bytes_by_level.back(), error / elements};
  }

  std::string write(const CalibrateReport& report) {
    const auto bytes = write_profile_object(report.profile);
    const std::string path = folder_ / "profile";
    write_text(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return path;
  }

  TestFolder folder_;
  SyntheticKv kv_;
  std::vector<std::string> inputs_;
  std::string unseen_;
  int stores_ = 0;
};

TEST_F(Calibrate, BasesAreOrthonormalAndOrderedByVariance) {
  for (const auto& [scope, together] : {std::pair{TransformScope::kHead, 1u},
                                        {TransformScope::kGroup, 1u},
                                        {TransformScope::kGroup, 2u},
                                        {TransformScope::kGroup, 0u}}) {
    const CalibrateReport report = run(params(scope, together));
    for (const CalibratedSection& section : report.sections) {
      EXPECT_TRUE(std::is_sorted(section.variance.rbegin(), section.variance.rend()));
      EXPECT_EQ(section.variance.size(), section.coefficients);
    }
    for (const kernels::SectionCodec& codec : report.profile.sections) {
      for (const kernels::TransformBlock& block : codec.blocks) {
        for (uint32_t a = 0; a < block.rank; ++a) {
          for (uint32_t b = 0; b <= a; ++b) {
            double product = 0;
            for (uint32_t c = 0; c < block.width; ++c) {
              product += double{kernels::bf16_to_f32(block.basis[a * block.width + c])} *
                         double{kernels::bf16_to_f32(block.basis[b * block.width + c])};
            }
            ASSERT_NEAR(product, a == b ? 1 : 0, 0.01);
          }
        }
      }
    }
  }
}

TEST_F(Calibrate, IsDeterministicAndReadsBack) {
  const auto first = write_profile_object(run(params(TransformScope::kGroup, 2)).profile);
  const auto second = write_profile_object(run(params(TransformScope::kGroup, 2)).profile);
  EXPECT_EQ(first, second);
  EXPECT_TRUE(read_profile_object(first, "profile").ok());
}

TEST_F(Calibrate, LayersShareSectionsButNotTransforms) {
  CalibrateParams two = params(TransformScope::kGroup, 2);
  two.together_layers = 2;
  const auto groups = run(two).profile.groups;
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0], (kernels::LayerGroup{0, 2}));
  EXPECT_EQ(groups[1], (kernels::LayerGroup{2, 1}));
  two.together_layers = 0;  // 96 channels are fewer than a section likes
  const kernels::Profile together = run(two).profile;
  EXPECT_EQ(together.groups, (std::vector<kernels::LayerGroup>{{0, 3}}));
  const auto& blocks = together.sections[0].blocks;
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].width, 64u);
  EXPECT_EQ(blocks[1].first_channel, 64u);
  EXPECT_EQ(blocks[1].width, 32u);
  EXPECT_EQ(run(params(TransformScope::kHead)).profile.sections[1].blocks.size(), 6u);
}

TEST_F(Calibrate, BeatsTheFirstChunkOnCorrelatedChannels) {
  const Outcome first_chunk = pack_unseen("");
  uint64_t before = first_chunk.bytes;
  for (const auto& [scope, together] :
       {std::pair{TransformScope::kHead, 1u}, {TransformScope::kGroup, 0u}}) {
    CalibrateParams fine = params(scope, together);
    fine.step = 0.15f;
    fine.rounding = 0.4f;  // the first chunk's
    const Outcome calibrated = pack_unseen(write(run(fine)));
    EXPECT_LT(calibrated.mean_squared_error, first_chunk.mean_squared_error);
    EXPECT_LT(static_cast<double>(calibrated.bytes), 0.7 * static_cast<double>(before));
    before = calibrated.bytes;
  }
}

TEST_F(Calibrate, LeavesOutWhatNeverCarriesBits) {
  CalibrateParams coarse = params(TransformScope::kGroup, 0);
  coarse.step = 1;
  const CalibrateReport report = run(coarse);
  for (const CalibratedSection& section : report.sections) {
    EXPECT_GE(section.coefficients, kFactors);
    EXPECT_LT(section.coefficients, section.width / 2);
    EXPECT_GT(section.coding_gain_db, 5);
    EXPECT_LE(section.bound_bits_per_element, 1.02 * section.bits_per_element);
  }
}

TEST_F(Calibrate, KeepsWithinProfileBytes) {
  CalibrateParams small = params(TransformScope::kGroup, 0);
  small.step = 0.02f;
  small.least_variance = 0;
  const CalibrateReport whole = run(small);
  EXPECT_EQ(whole.basis_bytes, 2u * 2 * 96 * 96);
  const uint64_t all = write_profile_object(whole.profile).size();
  small.max_profile_bytes = all - whole.basis_bytes / 2;
  const CalibrateReport report = run(small);
  const uint64_t bytes = write_profile_object(report.profile).size();
  EXPECT_LE(bytes, small.max_profile_bytes);
  EXPECT_GT(bytes, small.max_profile_bytes - 16000);  // the allowance for classes
  EXPECT_TRUE(kernels::validate(report.profile));
  small.max_profile_bytes = 1;
  for (const CalibratedSection& section : run(small).sections) EXPECT_EQ(section.coefficients, 1u);
}

// What the weights say of the error of a cache against its original.
double weighted_error(const kernels::Geometry& geometry,
                      const std::vector<std::vector<float>>& weights,
                      std::span<const float> original, std::span<const float> decoded,
                      size_t tensor) {
  const auto side = static_cast<Side>(tensor % 2);
  const uint32_t dim = geometry.dim(side), heads = geometry.heads(side);
  double sum = 0;
  for (size_t at = 0; at < original.size(); at += dim) {
    const float* w = weights[tensor].data() + at / dim % heads * dim * dim;
    for (size_t a = 0; a < dim; ++a) {
      for (size_t b = 0; b < dim; ++b) {
        sum += double{w[a * dim + b]} * double{original[at + a] - decoded[at + a]} *
               double{original[at + b] - decoded[at + b]};
      }
    }
  }
  return sum;
}

TEST_F(Calibrate, ErrorWeightsMoveErrorsToWhereTheyCostLess) {
  // One direction of each head matters a hundredfold.
  std::mt19937_64 random(9);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> weights(6, std::vector<float>(2 * 16 * 16));
  for (std::vector<float>& tensor : weights) {
    for (size_t head = 0; head < 2; ++head) {
      std::vector<float> axis(16);
      for (float& x : axis) x = normal(random);
      for (size_t a = 0; a < 16; ++a) {
        for (size_t b = 0; b < 16; ++b) {
          tensor[(head * 16 + a) * 16 + b] = 100 * axis[a] * axis[b] / 16 + (a == b ? 1 : 0);
        }
      }
    }
  }
  const auto original = correlated_tensors(kv_);
  const auto measure = [&](CalibrateParams p) {
    PackParams pack_params;
    pack_params.input = unseen_;
    pack_params.out = folder_ / ("store" + std::to_string(stores_++));
    pack_params.profile = write(run(p));
    pack_params.include_text = false;
    const auto packed = pack(pack_params);
    if (!packed.ok()) throw std::runtime_error(packed.error().message);
    const auto decoded = Stored(pack_params.out + "/t/public", packed->manifest).decode(0, 3);
    double error = 0;
    for (size_t i = 0; i < original.size(); ++i) {
      std::vector<float> a(original[i].size() / 4), b(a.size());
      kernels::load_f32(kernels::DType::kF32, original[i].data(), a);
      kernels::load_f32(kernels::DType::kF32, decoded[i].data(), b);
      error += weighted_error(kv_.geometry, weights, a, b, i);
    }
    return std::pair{static_cast<double>(packed->bytes_by_level.back()), error};
  };
  for (const auto& [scope, together] :
       {std::pair{TransformScope::kHead, 1u}, {TransformScope::kGroup, 0u}}) {
    CalibrateParams plain = params(scope, together);
    plain.step = 0.05f;
    plain.error_weights = weights;
    const auto [weighted_bytes, weighted] = measure(plain);
    plain.error_weights.clear();
    const auto [plain_bytes, unweighted] = measure(plain);
    EXPECT_LT(weighted, 0.7 * unweighted);
    EXPECT_LT(weighted_bytes, 1.02 * plain_bytes);
  }
}

TEST_F(Calibrate, EqualWeightsChangeNothing) {
  CalibrateParams weighted = params(TransformScope::kGroup, 0);
  const CalibrateReport plain = run(weighted);
  weighted.error_weights.assign(6, std::vector<float>(2 * 16 * 16));
  for (std::vector<float>& tensor : weighted.error_weights) {
    for (size_t i = 0; i < 32; ++i) tensor[i * 16 + i % 16] = 7;
  }
  const CalibrateReport report = run(weighted);
  for (size_t s = 0; s < 2; ++s) {
    EXPECT_NEAR(report.sections[s].weight_gain_bits, 0, 1e-6);
    EXPECT_NEAR(report.sections[s].bits_per_element, plain.sections[s].bits_per_element, 0.01);
    EXPECT_EQ(report.sections[s].coefficients, plain.sections[s].coefficients);
  }
}

TEST_F(Calibrate, SensitiveLayersGetFinerScales) {
  CalibrateParams weighted = params(TransformScope::kGroup, 0);
  const CalibrateReport plain = run(weighted);
  weighted.sensitivity = {4, 1, 1, 1, 1, 1};
  const CalibrateReport report = run(weighted);
  const auto& before = plain.profile.sections[0].scale;
  const auto& after = report.profile.sections[0].scale;
  const double first = after[0] / before[0], second = after[40] / before[40];
  EXPECT_NEAR(second / first, 2, 1e-3);
  EXPECT_EQ(after[0], after[31]);
}

TEST_F(Calibrate, RefusesWhatMakesNoSense) {
  CalibrateParams wrong = params(TransformScope::kHead);
  wrong.sensitivity = {1, 2};
  EXPECT_THAT(calibrate(wrong).error().message, HasSubstr("2 sensitivities for 3 layers"));
  wrong = params(TransformScope::kHead);
  wrong.step = 0;
  EXPECT_FALSE(calibrate(wrong).ok());
  wrong = params(TransformScope::kHead);
  wrong.error_weights.resize(6);
  EXPECT_THAT(calibrate(wrong).error().message, HasSubstr("layer 0, keys: not one square"));
  wrong.error_weights.resize(5);
  EXPECT_THAT(calibrate(wrong).error().message, HasSubstr("5 of 6 tensors"));
  wrong = params(TransformScope::kGroup, 2);
  wrong.together_layers = 3;
  EXPECT_THAT(calibrate(wrong).error().message, HasSubstr("not a multiple of the 2"));
  wrong = params(TransformScope::kHead);
  SyntheticKv other;
  write_kv_file(folder_ / "other", other);
  wrong.inputs.push_back(folder_ / "other");
  EXPECT_THAT(calibrate(wrong).error().message, HasSubstr("different models"));
  wrong.inputs.clear();
  EXPECT_FALSE(calibrate(wrong).ok());
}

}  // namespace
}  // namespace kvcast::packager
