// What calibration is told beside caches: files of moments, ladders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "manifests/safetensors.h"
#include "packager/calibrate.h"
#include "packager/testing/folder.h"
#include "packager/testing/synthetic_kv.h"

namespace kvcast::packager {
namespace {

using testing::HasSubstr;

class CalibrateChoices : public testing::Test {
 protected:
  CalibrateChoices() {
    kv_.geometry = {2, 2, 8, 2, 8};
    kv_.tokens = 300;
    kv_.rope = "none";
    write_kv_file(params_.inputs.emplace_back(folder_ / "kv"), kv_);
  }

  // Each head's first dim weighs `first`, the others 1.
  std::string moments(float first, const std::string& weights) {
    std::vector<float> values(2 * 8 * 8);
    for (size_t i = 0; i < 16; ++i) values[i / 8 * 64 + i % 8 * 9] = i % 8 == 0 ? first : 1;
    const auto bytes = std::as_bytes(std::span(values));
    const auto written = manifests::write_safetensors(
        folder_ / "moments", {{"weights", weights}},
        std::vector<manifests::TensorToWrite>{{"layers.0.query_moment", "F32", {2, 8, 8}, bytes},
                                              {"layers.1.query_moment", "F32", {2, 8, 8}, bytes}});
    if (!written.ok()) throw std::runtime_error(written.error().message);
    return folder_ / "moments";
  }

  void refuse(const char* why) {
    const auto report = calibrate(params_);
    ASSERT_FALSE(report.ok());
    EXPECT_THAT(report.error().message, HasSubstr(why));
  }

  TestFolder folder_;
  SyntheticKv kv_;
  CalibrateParams params_;
};

TEST_F(CalibrateChoices, MomentsOfAFileWeightTheirSide) {
  params_.moments = {moments(100, "synthetic-weights")};
  const auto report = calibrate(params_);
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_EQ(report->sections.size(), 2u);
  EXPECT_GT(report->sections[0].weight_gain_bits, 0.5);        // keys: the queries' moments
  EXPECT_NEAR(report->sections[1].weight_gain_bits, 0, 1e-6);  // values: the file has none

  CalibrateParams given = params_;
  given.moments.clear();
  std::vector<float> matrices(128), identities(128);
  for (size_t i = 0; i < 16; ++i) {
    matrices[i / 8 * 64 + i % 8 * 9] = i % 8 == 0 ? 100 : 1;
    identities[i / 8 * 64 + i % 8 * 9] = 1;
  }
  given.error_weights = {matrices, identities, matrices, identities};
  const auto same = calibrate(given);
  ASSERT_TRUE(same.ok()) << same.error().message;
  EXPECT_EQ(report->profile, same->profile);
}

TEST_F(CalibrateChoices, RefusesMomentsOfAnotherModelAndTwoKindsOfWeights) {
  params_.moments = {moments(2, "another")};
  refuse("another");
  params_.moments = {moments(2, "synthetic-weights")};
  params_.error_weights.assign(4, std::vector<float>(128, 0.0f));
  refuse("only one");
}

TEST_F(CalibrateChoices, LevelsDropTheBitsOfTheLadder) {
  params_.ladder = {4, 1, 0};
  const auto report = calibrate(params_);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->profile.levels, 3u);
  EXPECT_EQ(report->profile.sections[0].drop_bits, params_.ladder);
}

TEST_F(CalibrateChoices, RefusesLaddersThatDoNotDescendToZero) {
  for (const std::vector<uint8_t>& wrong :
       {std::vector<uint8_t>{}, {3, 1}, {1, 2, 0}, {9, 0}, std::vector<uint8_t>(9, 0)}) {
    params_.ladder = wrong;
    refuse(wrong.empty() || wrong.size() > 8 ? "levels" : "descend");
  }
}

TEST_F(CalibrateChoices, ReportsWhatSensitivitiesAndReconstructionPointsGain) {
  const auto plain = calibrate(params_);
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  EXPECT_EQ(plain->sensitivity_gain_bits, 0);
  for (const CalibratedSection& section : plain->sections) {
    ASSERT_EQ(section.reconstruction_gain_db.size(), params_.ladder.size());
    EXPECT_GT(section.reconstruction_gain_db.front(), 0);
  }
  params_.sensitivity = {16, 1, 1, 1};
  const auto weighted = calibrate(params_);
  ASSERT_TRUE(weighted.ok()) << weighted.error().message;
  EXPECT_NEAR(weighted->sensitivity_gain_bits, (std::log2(19.0 / 4) - 1) / 2, 1e-12);
}

}  // namespace
}  // namespace kvcast::packager
