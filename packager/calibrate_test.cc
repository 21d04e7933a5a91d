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

TEST_F(Calibrate, GroupsTileTheLayers) {
  const auto groups = run(params(TransformScope::kGroup, 2)).profile.groups;
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0], (kernels::LayerGroup{0, 2}));
  EXPECT_EQ(groups[1], (kernels::LayerGroup{2, 1}));
  EXPECT_EQ(run(params(TransformScope::kGroup, 0)).profile.groups.size(), 1u);
}

TEST_F(Calibrate, BeatsTheFirstChunkOnCorrelatedChannels) {
  const Outcome first_chunk = pack_unseen("");
  uint64_t before = first_chunk.bytes;
  for (const auto& [scope, together] :
       {std::pair{TransformScope::kHead, 1u}, {TransformScope::kGroup, 0u}}) {
    CalibrateParams fine = params(scope, together);
    fine.step = 0.15f;
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
  }
}

TEST_F(Calibrate, KeepsWithinBasisBytes) {
  CalibrateParams small = params(TransformScope::kGroup, 1);
  small.step = 0.02f;
  const uint64_t all = run(small).basis_bytes;
  small.max_basis_bytes = all / 2;
  const CalibrateReport report = run(small);
  EXPECT_LE(report.basis_bytes, all / 2);
  EXPECT_GT(report.basis_bytes, all / 3);
  EXPECT_TRUE(kernels::validate(report.profile));
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
  SyntheticKv other;
  write_kv_file(folder_ / "other", other);
  wrong.inputs.push_back(folder_ / "other");
  EXPECT_THAT(calibrate(wrong).error().message, HasSubstr("different models"));
  wrong.inputs.clear();
  EXPECT_FALSE(calibrate(wrong).ok());
}

}  // namespace
}  // namespace kvcast::packager
