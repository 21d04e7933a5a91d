#include "packager/moments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "manifests/safetensors.h"
#include "packager/testing/folder.h"

namespace kvcast::packager {
namespace {

using kernels::Side;
using testing::AllOf;
using testing::HasSubstr;

constexpr kernels::Geometry kGeometry{2, 2, 3, 1, 2};

struct File {
  std::string path;
  std::string weights = "w";
  bool query = true, output = true;
  float value = 1;       // of the diagonals
  uint64_t key_dim = 3;  // of the file's shapes
  const char* dtype = "F32";
};

std::vector<float> diagonal(uint64_t heads, uint64_t dim, float value) {
  std::vector<float> values(heads * dim * dim);
  for (size_t i = 0; i < heads * dim; ++i) {
    values[i / dim * dim * dim + i % dim * (dim + 1)] = value * static_cast<float>(1 + i);
  }
  return values;
}

void write(const File& file) {
  const std::vector<float> query = diagonal(2, file.key_dim, file.value);
  const std::vector<float> output = diagonal(1, 2, file.value);
  std::vector<manifests::TensorToWrite> tensors;
  for (const char* layer : {"layers.0.", "layers.1."}) {
    if (file.query) {
      tensors.push_back({std::string(layer) + "query_moment",
                         file.dtype,
                         {2, file.key_dim, file.key_dim},
                         std::as_bytes(std::span(query))});
    }
    if (file.output) {
      tensors.push_back({std::string(layer) + "output_moment",
                         file.dtype,
                         {1, 2, 2},
                         std::as_bytes(std::span(output))});
    }
  }
  const auto written =
      manifests::write_safetensors(file.path, {{"weights", file.weights}}, tensors);
  ASSERT_TRUE(written.ok()) << written.error().message;
}

class MomentsFile : public testing::Test {
 protected:
  std::string message_of(const File& file) {
    write(file);
    const auto moments = read_moments({file.path}, kGeometry, "w");
    return moments.ok() ? "no error" : moments.error().message;
  }
  TestFolder folder_;
};

TEST_F(MomentsFile, AreReadAndAveraged) {
  write({folder_ / "a"});
  write({.path = folder_ / "b", .output = false, .value = 3});
  const auto one = read_moments({folder_ / "a"}, kGeometry, "w");
  ASSERT_TRUE(one.ok()) << one.error().message;
  ASSERT_EQ(one->size(), 4u);
  EXPECT_EQ((*one)[2].size(), 2u * 9);
  EXPECT_EQ((*one)[2][9 + 4], 5);  // second head, second dim
  EXPECT_EQ((*one)[2][9 + 1], 0);
  EXPECT_EQ((*one)[3], (std::vector<float>{1, 0, 0, 2}));
  const auto both = read_moments({folder_ / "a", folder_ / "b"}, kGeometry, "w");
  ASSERT_TRUE(both.ok()) << both.error().message;
  EXPECT_EQ((*both)[2][9 + 4], 10);
  EXPECT_EQ((*both)[3], (*one)[3]);  // of the one file that has them
}

TEST_F(MomentsFile, WhatTheFilesLackIsIdentity) {
  write({.path = folder_ / "m", .output = false});
  const auto moments = read_moments({folder_ / "m"}, kGeometry, "w");
  ASSERT_TRUE(moments.ok()) << moments.error().message;
  EXPECT_EQ((*moments)[1], (std::vector<float>{1, 0, 0, 1}));
}

TEST_F(MomentsFile, WhatDoesNotFitIsNamed) {
  const std::string path = folder_ / "m";
  EXPECT_EQ(message_of({path}), "no error");
  EXPECT_THAT(message_of({.path = path, .weights = "other"}),
              AllOf(HasSubstr(path), HasSubstr("metadata weights: other")));
  EXPECT_THAT(message_of({.path = path, .query = false, .output = false}),
              HasSubstr("neither layers.0.query_moment nor"));
  EXPECT_THAT(message_of({.path = path, .key_dim = 2}),
              HasSubstr("tensor layers.0.query_moment, F32 [2, 2, 2]: expected F32 [2, 3, 3]"));
  EXPECT_THAT(message_of({.path = path, .dtype = "I32"}), HasSubstr("layers.0.query_moment, I32"));
  EXPECT_THAT(message_of({.path = path, .value = -1}),
              HasSubstr("tensor layers.0.query_moment[0, 0, 0] is -1: no second moment"));
  EXPECT_THAT(message_of({.path = path, .value = NAN}), HasSubstr("no second moment"));
  EXPECT_FALSE(read_moments({folder_ / "absent"}, kGeometry, "w").ok());
}

}  // namespace
}  // namespace kvcast::packager
