// The golden bad files, one for each defect: `kvcast verify` and the readers explain each in one
// line that names the file, the place in it, and what was expected. Those of plane sections, text
// objects, prefix entries and KV files are made here (with KVCAST_WRITE_GOLDEN=1 in the environment
// the test writes them anew); the others beside their formats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

#include "manifests/object.h"
#include "packager/verify.h"
#include "tests/damage/golden_defects.h"
#include "tests/damage/worked_example.h"

namespace kvcast::damage {
namespace {

namespace fs = std::filesystem;

using packager::Defect;
using packager::VerifyReport;

const fs::path kGolden = fs::path(KVCAST_SOURCE_DIR) / "tests/golden";

Bytes read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string_view as_text(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The one line about a golden file, by its folder.
std::vector<Defect> explain(const fs::path& path) {
  const std::string format = path.parent_path().filename().string();
  const Bytes bytes = read(path);
  const std::string name = path.string();
  VerifyReport report;
  const std::map<std::string, Bytes> nothing_else;
  MemoryObjects objects(nothing_else);
  if (format == "object" || format == "text") {
    packager::verify_object(bytes, name, nullptr, report);
  } else if (format == "profile") {
    packager::verify_object(profile_object_of(bytes), name, nullptr, report);
  } else if (format == "exact") {
    packager::verify_object(exact_object_of(bytes), name, nullptr, report);
  } else if (format == "plane") {
    report = verify_plane_section(path.stem().string(), bytes);
  } else if (format == "manifest") {
    packager::verify_manifest(as_text(bytes), name, objects, {}, report);
  } else if (format == "prefix") {
    packager::verify_prefix_entry(as_text(bytes), name, report);
  } else if (format == "kv_file" || format == "moments") {
    packager::verify_kv_file(name, report);
  } else {
    ADD_FAILURE() << path << ": no reader for this folder";
  }
  return report.defects;
}

std::vector<fs::path> bad_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(kGolden)) {
    if (entry.path().filename().string().starts_with("bad_")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(GoldenBad, EachIsExplainedInOneLineWithItsPlace) {
  // A byte, an offset, a section; or a JSON path, a tensor, a key of the metadata.
  const std::regex place(
      "byte [0-9]+|bytes [0-9]+ to|offset [0-9]+|section "
      "[0-9]+|^[a-z_]+(\\.[a-z_]+|\\[[0-9]+\\])*: |"
      "tensors? [a-z]|metadata [a-z]|truncated|not JSON|header of [0-9]+|twice|too short|"
      "codec|two sections|token ids");
  const auto files = bad_files();
  EXPECT_GT(files.size(), 140u);
  for (const fs::path& path : files) {
    const std::vector<Defect> defects = explain(path);
    ASSERT_EQ(defects.size(), 1u) << path << (defects.empty() ? "" : ": " + defects[1].what);
    const std::string& what = defects[0].what;
    EXPECT_EQ(what.find('\n'), std::string::npos) << path;
    EXPECT_LT(what.size(), 500u) << path;
    EXPECT_TRUE(std::regex_search(what, place)) << path << ": " << what;
    EXPECT_FALSE(defects[0].file.empty()) << path;
    if (std::getenv("KVCAST_SHOW_GOLDEN")) std::printf("%s: %s\n", path.c_str(), what.c_str());
  }
}

TEST(GoldenBad, EachOfTheseSaysWhatItsNameSays) {
  for (const GoldenDefect& defect : golden_defects()) {
    const fs::path path = kGolden / defect.file;
    if (std::getenv("KVCAST_WRITE_GOLDEN")) {
      fs::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char*>(defect.bytes.data()),
                 static_cast<std::streamsize>(defect.bytes.size()));
    }
    EXPECT_EQ(as_text(read(path)), as_text(defect.bytes)) << path;
    const std::vector<Defect> defects = explain(path);
    if (defect.message.empty()) {
      EXPECT_TRUE(defects.empty()) << path << ": " << defects[0].what;
      continue;
    }
    ASSERT_EQ(defects.size(), 1u) << path;
    EXPECT_THAT(defects[0].what, testing::HasSubstr(defect.message)) << path;
  }
}

}  // namespace
}  // namespace kvcast::damage
