#include "manifests/store/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "manifests/open_store.h"
#include "manifests/testing/temp_folder.h"

namespace kvcast::manifests {
namespace {

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() {
    for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                             "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL",
                             "AWS_ENDPOINT_URL_S3", "KVCAST_BEARER_TOKEN"}) {
      ::unsetenv(name);
    }
    set("AWS_SHARED_CREDENTIALS_FILE", folder_ / "credentials");
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  TempFolder folder_;
};

TEST_F(CredentialsTest, TakesTheEnvironmentFirst) {
  file("credentials", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n");
  set("AWS_ACCESS_KEY_ID", "c");
  set("AWS_SECRET_ACCESS_KEY", "d");
  set("AWS_DEFAULT_REGION", "eu-north-1");
  const auto keys = find_s3_keys("");
  EXPECT_EQ(keys->access_key + keys->secret_key + keys->region, "cdeu-north-1");
  EXPECT_EQ(find_s3_keys("mars")->region, "mars");
}

TEST_F(CredentialsTest, ReadsTheProfileOfAFile) {
  file("credentials",
       "# keys\n[default]\naws_access_key_id = a\naws_secret_access_key=b=\r\n\n[other]\n"
       "aws_access_key_id=c\naws_secret_access_key=d\naws_session_token=e\n");
  EXPECT_EQ(find_s3_keys("")->access_key, "a");
  EXPECT_EQ(find_s3_keys("")->secret_key, "b=");
  EXPECT_EQ(find_s3_keys("")->region, "us-east-1");
  set("AWS_PROFILE", "other");
  EXPECT_EQ(find_s3_keys("")->session_token, "e");
  set("AWS_PROFILE", "none");
  const auto none = find_s3_keys("");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().kind, ErrorKind::kUsage);
  EXPECT_THAT(none.error().message, testing::HasSubstr("[none]"));
}

TEST_F(CredentialsTest, ReadsABearerToken) {
  EXPECT_EQ(*find_bearer_token(""), "");
  set("KVCAST_BEARER_TOKEN", "t0ken");
  EXPECT_EQ(*find_bearer_token(""), "t0ken");
  EXPECT_EQ(*find_bearer_token(file("token", "other\n")), "other");
  EXPECT_FALSE(find_bearer_token(file("two", "a\nb\n")).ok());
  EXPECT_FALSE(find_bearer_token(file("none", "")).ok());
  EXPECT_FALSE(find_bearer_token(folder_ / "missing").ok());
}

TEST_F(CredentialsTest, OpensWhatMakesSense) {
  set("AWS_ACCESS_KEY_ID", "c");
  set("AWS_SECRET_ACCESS_KEY", "d");
  for (const char* location :
       {"s3://bucket", "s3://bucket/a/b/", "http://host:1/x", "some/folder"}) {
    EXPECT_TRUE(open_store(location).ok()) << location;
  }
  for (const char* location :
       {"s3://", "s3://b", "s3:///x", "s3://bucket/a//b", "http://host/?q"}) {
    const auto store = open_store(location);
    ASSERT_FALSE(store.ok()) << location;
    EXPECT_EQ(store.error().kind, ErrorKind::kUsage);
    EXPECT_THAT(store.error().message, testing::HasSubstr(location));
  }
  StoreOptions options;
  options.endpoint = "host";
  EXPECT_FALSE(open_store("s3://bucket", options).ok());
}

}  // namespace
}  // namespace kvcast::manifests
