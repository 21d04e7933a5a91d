// The published schema takes what the writer writes and refuses what the reader refuses, where a
// schema can say it. Needs python3 with jsonschema; without it the test is skipped.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "manifests/file.h"
#include "manifests/manifest.h"
#include "manifests/testing/golden.h"
#include "manifests/testing/sample.h"
#include "manifests/testing/temp_folder.h"

namespace kvcast::manifests {
namespace {

using nlohmann::json;

int run_python(const std::string& arguments) {
  return std::system(("python3 " + arguments + " >/dev/null 2>&1").c_str());
}

// One line a document: valid or not.
constexpr std::string_view kChecker = R"(
import json, sys
from jsonschema import Draft202012Validator as Validator
schema = json.load(open(sys.argv[1]))
Validator.check_schema(schema)
validator = Validator(schema)
with open(sys.argv[3], "w") as out:
    for document in json.load(open(sys.argv[2])):
        out.write("valid\n" if validator.is_valid(document) else "invalid\n")
)";

class ManifestSchema : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run_python("-c 'from jsonschema import Draft202012Validator'") != 0) {
      GTEST_SKIP() << "python3 with jsonschema (Debian: python3-jsonschema) is not installed";
    }
  }

  // "valid\n" or "invalid\n" for each.
  std::string verdicts(const json& documents) {
    const std::string schema = std::string(KVCAST_SOURCE_DIR) + "/manifests/manifest.schema.json";
    EXPECT_TRUE(write_file_atomically(folder_ / "check.py", as_bytes(kChecker)).ok());
    EXPECT_TRUE(write_file_atomically(folder_ / "in.json", as_bytes(documents.dump())).ok());
    EXPECT_EQ(run_python((folder_ / "check.py") + " " + schema + " " + (folder_ / "in.json") + " " +
                         (folder_ / "out")),
              0);
    const auto lines = read_file(folder_ / "out", 1 << 20);
    return lines.ok() ? as_text(*lines) : lines.error().message;
  }

  TempFolder folder_;
};

TEST_F(ManifestSchema, TakesWhatTheWriterWrites) {
  json documents = json::array();
  std::string expected;
  for (const Manifest& manifest :
       {example_manifest(), sample_manifest(1, 1), sample_manifest(5, 8)}) {
    documents.push_back(json::parse(write_manifest(manifest)));
    expected += "valid\n";
  }
  EXPECT_EQ(verdicts(documents), expected);
}

// Only rules between fields are beyond it: codec against model, counts against `levels` and
// `tokens`, the checksum. Those changes are not made here.
TEST_F(ManifestSchema, RefusesWhatTheReaderRefuses) {
  json document = json::parse(write_manifest(example_manifest()));
  document.erase("checksum");
  json documents = json::array();
  std::string expected;
  const auto try_it = [&](const json& changed) {
    documents.push_back(changed);
    expected += read_manifest(changed.dump(), "x").ok() ? "valid\n" : "invalid\n";
  };
  for (const auto& [key, value] : document.items()) {
    json changed = document;
    changed.erase(key);
    try_it(changed);
    changed[key] = true;
    try_it(changed);
  }
  document["checksum"] = 7;
  try_it(document);
  document["checksum"] = nullptr;
  try_it(document);
  for (const auto& [key, value] : document["model"].items()) {
    json changed = document;
    changed["model"].erase(key);
    try_it(changed);
  }
  for (const auto& [key, value] : document["chunks"][0].items()) {
    json changed = document;
    changed["chunks"][0].erase(key);
    try_it(changed);
    changed["chunks"][0][key] = "x";
    try_it(changed);
  }
  for (const char* url : {"../", "./", "a/b:c/", "http://h/", "https://h:1/t/", "", "/", "/etc/",
                          "//h/", "file:///x/", "http://h", "http:///", "javascript:x/"}) {
    json changed = document;
    changed["base_urls"][0]["url"] = url;
    try_it(changed);
  }
  for (const char* id : {"a", "a.b", ".a", "a/b", "..", ""}) {
    json changed = document;
    changed["id"] = id;
    try_it(changed);
  }
  EXPECT_EQ(verdicts(documents), expected);
}

}  // namespace
}  // namespace kvcast::manifests
