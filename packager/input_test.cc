// What cannot be packed is refused by name, with the way out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "packager/packager.h"
#include "packager/profile_object.h"
#include "packager/testing/folder.h"
#include "packager/testing/stored.h"
#include "packager/testing/synthetic_kv.h"

namespace kvcast::packager {
namespace {

using manifests::ErrorKind;
using testing::AllOf;
using testing::HasSubstr;

class Input : public testing::Test {
 protected:
  Input() {
    params_.input = folder_ / "kv.safetensors";
    params_.out = folder_ / "store";
    params_.chunk_tokens = 16;
  }

  void set(std::vector<std::byte>& tensor, kernels::DType dtype, size_t element, float value) {
    kernels::store_f32(dtype, {&value, 1}, tensor.data() + element * kernels::dtype_bytes(dtype));
  }

  void expect_error(ErrorKind kind, const testing::Matcher<std::string>& message) {
    const auto report = pack(params_);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().kind, kind) << report.error().message;
    EXPECT_THAT(report.error().message, message);
  }

  TestFolder folder_;
  PackParams params_;
};

TEST_F(Input, NamesTheFirstElementThatIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::pair<float, const char*> cases[] = {
      {NAN, " is NaN"}, {inf, " is infinity"}, {-inf, " is -infinity"}};
  for (const kernels::DType dtype :
       {kernels::DType::kF16, kernels::DType::kBf16, kernels::DType::kF32}) {
    for (const auto& [value, text] : cases) {
      SyntheticKv kv;
      kv.dtype = dtype;
      auto tensors = synthetic_tensors(kv);
      // Layer 1, values: token 33, head 1, dim 5 of 2 x 8. Beyond the first chunk.
      set(tensors[3], dtype, 33 * 16 + 8 + 5, value);
      set(tensors[3], dtype, 34 * 16, value);
      write_kv_file(params_.input, kv, tensors);
      expect_error(ErrorKind::kCorrupt, AllOf(HasSubstr("layers.1.value[token 33, head 1, dim 5]"),
                                              HasSubstr(text), HasSubstr("--exact")));
    }
  }
}

TEST_F(Input, NamesAnFp8ElementThatIsNotFinite) {
  struct Case {
    kernels::DType dtype;
    uint8_t bits;
    const char* text;
  };
  for (const Case& c : {Case{kernels::DType::kF8E4M3, 0x7F, " is NaN"},
                        Case{kernels::DType::kF8E4M3, 0xFF, " is NaN"},
                        Case{kernels::DType::kF8E5M2, 0x7C, " is infinity"},
                        Case{kernels::DType::kF8E5M2, 0xFC, " is -infinity"},
                        Case{kernels::DType::kF8E5M2, 0x7E, " is NaN"}}) {
    SyntheticKv kv;
    kv.dtype = c.dtype;
    auto tensors = synthetic_tensors(kv);
    tensors[3][33 * 16 + 8 + 5] = std::byte{c.bits};
    write_kv_file(params_.input, kv, tensors);
    expect_error(ErrorKind::kCorrupt, AllOf(HasSubstr("layers.1.value[token 33, head 1, dim 5]"),
                                            HasSubstr(c.text), HasSubstr("--exact")));
  }
  SyntheticKv kv;  // E4M3's largest values, where another type has NaN and infinity
  kv.dtype = kernels::DType::kF8E4M3;
  auto tensors = synthetic_tensors(kv);
  tensors[3][33 * 16] = std::byte{0x7E};
  tensors[3][33 * 16 + 1] = std::byte{0xF8};
  write_kv_file(params_.input, kv, tensors);
  const auto report = pack(params_);
  EXPECT_TRUE(report.ok()) << report.error().message;
}

TEST_F(Input, NamesANonFiniteElementOfTheFirstChunk) {
  const SyntheticKv kv;
  auto tensors = synthetic_tensors(kv);
  set(tensors[0], kv.dtype, 0, NAN);  // a sink token
  write_kv_file(params_.input, kv, tensors);
  expect_error(ErrorKind::kCorrupt, HasSubstr("layers.0.key[token 0, head 0, dim 0] is NaN"));
}

TEST_F(Input, ExactKeepsNonFiniteElements) {
  const SyntheticKv kv;
  auto tensors = synthetic_tensors(kv);
  set(tensors[0], kv.dtype, 1, NAN);  // a sink token
  set(tensors[1], kv.dtype, 10 * 16 + 3, NAN);
  set(tensors[2], kv.dtype, 20 * 16 + 4, -std::numeric_limits<float>::infinity());
  write_kv_file(params_.input, kv, tensors);
  params_.exact = true;
  const auto report = pack(params_);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->non_finite_elements, 3u);
  EXPECT_THAT(report->first_non_finite, HasSubstr("layers.0.key[token 0, head 0, dim 1] is NaN"));
  const Stored stored(folder_ / "store/t/public", report->manifest);
  const size_t chunk_bytes = 16 * 16 * 2;
  for (uint32_t chunk = 0; chunk < 2; ++chunk) {
    const auto exact = stored.decode_exact(chunk);
    for (size_t i = 0; i < tensors.size(); ++i) {
      EXPECT_EQ(std::memcmp(exact[i].data(), tensors[i].data() + chunk * chunk_bytes, chunk_bytes),
                0);
    }
  }
  std::vector<float> values(16 * 16);
  kernels::load_f32(kv.dtype, stored.decode(1, 3)[2].data(), values);
  EXPECT_TRUE(std::isfinite(values[4 * 16 + 4]));
}

TEST_F(Input, NamesATensorOfAnotherShape) {
  SyntheticKv kv;
  auto tensors = synthetic_tensors(kv);
  // The header says one token less for one tensor: a cache cut off while it was written.
  write_kv_file(params_.input, kv, tensors);
  std::string file = read_text(params_.input);
  const size_t name = file.find("layers.1.value");
  const size_t shape = file.find("[40,2,8]", name);
  ASSERT_NE(shape, std::string::npos);
  file.replace(shape, 8, "[20,4,8]");
  write_text(params_.input, file);
  expect_error(ErrorKind::kCorrupt, AllOf(HasSubstr("layers.1.value"), HasSubstr("[20, 4, 8]")));
}

TEST_F(Input, RefusesParametersThatMakeNoSense) {
  write_kv_file(params_.input, {});
  const PackParams good = params_;
  const auto refuse = [&](auto change, const char* text) {
    params_ = good;
    change(params_);
    expect_error(ErrorKind::kUsage, HasSubstr(text));
  };
  refuse([](PackParams& p) { p.chunk_tokens = 0; }, "multiple of 16");
  refuse([](PackParams& p) { p.chunk_tokens = 100; }, "multiple of 16");
  refuse([](PackParams& p) { p.chunk_tokens = 1u << 21; }, "at most 1048576");
  refuse([](PackParams& p) { p.levels = 0; }, "levels");
  refuse([](PackParams& p) { p.levels = 9; }, "levels");
  refuse([](PackParams& p) { p.step = 0; }, "step");
  refuse([](PackParams& p) { p.step = NAN; }, "step");
  refuse([](PackParams& p) { p.rounding = 0.6f; }, "rounding");
  refuse([](PackParams& p) { p.tenant = "../up"; }, "tenant");
  refuse([](PackParams& p) { p.floor_level = 4; }, "floor level 4");
  refuse([](PackParams& p) { p.threads = 100000; }, "threads");
  refuse([](PackParams& p) { p.expires = "tomorrow"; }, "expires");
  refuse([](PackParams& p) { p.base_urls = {{"ftp://x/", 1, 1}}; }, "base_urls");
  EXPECT_TRUE(tree(folder_ / "store/t/public/m").empty());
}

TEST_F(Input, TakesAProfileFromAFile) {
  write_kv_file(params_.input, {});
  const auto measured = pack(params_);
  ASSERT_TRUE(measured.ok());
  const std::string digest = measured->manifest.profile.digest.hex();
  params_.profile = folder_ / ("store/t/public/o/" + digest.substr(0, 2) + "/" + digest + ".kvo");
  params_.out = folder_ / "second";
  const auto given = pack(params_);
  ASSERT_TRUE(given.ok()) << given.error().message;
  EXPECT_EQ(given->manifest.id, measured->manifest.id);
  EXPECT_EQ(given->objects_written, measured->objects_written);
}

TEST_F(Input, RefusesAProfileOfAnotherModel) {
  write_kv_file(params_.input, {});
  const auto measured = pack(params_);
  ASSERT_TRUE(measured.ok());
  const std::string digest = measured->manifest.profile.digest.hex();
  params_.profile = folder_ / ("store/t/public/o/" + digest.substr(0, 2) + "/" + digest + ".kvo");
  SyntheticKv other;
  other.geometry.layers = 3;
  write_kv_file(params_.input, other);
  expect_error(ErrorKind::kCorrupt, AllOf(HasSubstr("2 layers"), HasSubstr("3 layers")));
  other = {};
  other.rope = "interleaved";
  write_kv_file(params_.input, other);
  expect_error(ErrorKind::kCorrupt, AllOf(HasSubstr("rotates the keys of layer 0")));
  params_.profile = params_.input;
  expect_error(ErrorKind::kCorrupt, HasSubstr("kv.safetensors"));
  params_.profile = folder_ / "nowhere";
  expect_error(ErrorKind::kIo, HasSubstr("nowhere"));
}

TEST_F(Input, AgreementFollowsTheProfile) {
  write_kv_file(params_.input, {});
  const auto measured = pack(params_);
  ASSERT_TRUE(measured.ok());
  const Stored stored(folder_ / "store/t/public", measured->manifest);
  kernels::Profile profile = stored.profile();
  profile.agreement = {{0.0f, 1.0f}, {0.5f, 0.5f}};
  const auto object = write_profile_object(profile);
  write_text(folder_ / "profile.kvo",
             {reinterpret_cast<const char*>(object.data()), object.size()});
  params_.profile = folder_ / "profile.kvo";
  const auto report = pack(params_);
  ASSERT_TRUE(report.ok()) << report.error().message;
  for (const auto& chunk : report->manifest.chunks) {
    for (const auto& plane : chunk.planes) {
      ASSERT_TRUE(plane.agreement);
      EXPECT_NEAR(*plane.agreement, std::max(0.5, 1 - plane.distortion), 1e-6);
    }
  }
}

}  // namespace
}  // namespace kvcast::packager
