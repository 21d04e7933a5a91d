#include "kernels/implementation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "kernels/implementation/vector_kernels.h"
#include "kernels/plane.h"
#include "kernels/plane/laplace_classes.h"
#include "kernels/plane/tables.h"

namespace kvcast::kernels {
namespace {

// Sets the variable, and puts back what was there.
class ForcedByEnvironment {
 public:
  explicit ForcedByEnvironment(const char* name) {
    if (const char* before = std::getenv(kImplementationVariable)) before_ = before;
    ::setenv(kImplementationVariable, name, 1);
  }
  ~ForcedByEnvironment() {
    if (before_) {
      ::setenv(kImplementationVariable, before_->c_str(), 1);
    } else {
      ::unsetenv(kImplementationVariable);
    }
  }

 private:
  std::optional<std::string> before_;
};

Profile some_profile() {
  Profile profile;
  profile.geometry = {1, 1, 32, 1, 32};
  profile.levels = 1;
  profile.layer_rope = {kNoRope};
  profile.groups = {{0, 1}};
  SectionCodec section;
  section.drop_bits = {0};
  section.mean.assign(32, 0.0f);
  section.scale.assign(32, 1.0f);
  for (uint32_t c = 0; c < 32; ++c) section.order.push_back(c);
  profile.sections = {section, section};
  profile.classes = laplace_classes(std::vector<double>{1.0}, 0.5, 0);
  return profile;
}

TEST(Implementation, NamesAreDistinctAndFoundWhereTheyRun) {
  std::set<std::string> names;
  for (const Implementation implementation : implementations()) {
    const char* name = implementation_name(implementation);
    EXPECT_TRUE(names.insert(name).second) << name;
    const auto found = find_implementation(name);
    ASSERT_EQ(found.ok(), runs_here(implementation)) << name;
    if (found) {
      EXPECT_EQ(*found, implementation);
    } else {
      EXPECT_NE(found.fault().what.find("lacks"), std::string::npos) << found.fault().what;
    }
  }
  EXPECT_TRUE(runs_here(Implementation::kScalar));
}

TEST(Implementation, AnEmptyNameIsTheFastestThatRuns) {
  const auto all = implementations();
  const auto fastest = *std::find_if(all.rbegin(), all.rend(), runs_here);
  EXPECT_EQ(*find_implementation(""), fastest);
}

TEST(Implementation, UnknownNamesAreRefusedWithTheKnownOnes) {
  for (const char* name : {"sse9", "AVX2", "scalar ", "avx"}) {
    const auto found = find_implementation(name);
    ASSERT_FALSE(found.ok()) << name;
    EXPECT_NE(found.fault().what.find("scalar, avx2, avx512"), std::string::npos);
  }
}

TEST(Implementation, TheEnvironmentForcesWhatACodecRuns) {
  const Profile profile = some_profile();
  for (const Implementation implementation : implementations()) {
    if (!runs_here(implementation)) continue;
    const ForcedByEnvironment forced(implementation_name(implementation));
    const Codec codec(profile);
    EXPECT_EQ(codec.implementation(), implementation);
    EXPECT_EQ(codec.tables().vectors, vector_kernels(implementation));
  }
}

TEST(Implementation, TheArgumentForcesWhatACodecRuns) {
  const Profile profile = some_profile();
  for (const Implementation implementation : implementations()) {
    if (!runs_here(implementation)) continue;
    const Codec codec(profile, implementation);
    EXPECT_EQ(codec.implementation(), implementation);
    EXPECT_EQ(codec.tables().vectors, vector_kernels(implementation));
    EXPECT_EQ(codec.tables().vectors == nullptr, implementation == Implementation::kScalar);
  }
}

TEST(Implementation, AWrongEnvironmentIsAnErrorAndNotIgnored) {
  const Profile profile = some_profile();
  const ForcedByEnvironment forced("fastest");
  EXPECT_THROW(default_implementation(), std::invalid_argument);
  EXPECT_THROW(Codec{profile}, std::invalid_argument);
}

TEST(Implementation, CudaIsADeviceOrAnErrorThatSaysWhatToDo) {
  const auto found = find_implementation("cuda");
  if (found) {
    EXPECT_EQ(*found, *find_implementation(""));
    return;
  }
  EXPECT_NE(found.fault().what.find("no CUDA device"), std::string::npos) << found.fault().what;
}

}  // namespace
}  // namespace kvcast::kernels
