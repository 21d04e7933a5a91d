// The arrows of the house: who may include whom, and nobody reaches into another's sub-folder.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"kernels", {"kernels"}},
    {"manifests", {"manifests"}},
    {"origin", {"origin", "manifests"}},
    {"packager", {"packager", "kernels", "manifests"}},
    {"player", {"player", "kernels", "manifests"}},
};

bool is_source(const fs::path& path) {
  static const std::set<std::string> suffixes = {".h", ".cc", ".cu", ".cuh"};
  return suffixes.contains(path.extension().string());
}

bool is_test(const fs::path& path) {
  return path.stem().string().ends_with("_test");
}

bool is_fuzz_target(const fs::path& path) {
  return path.stem().string().ends_with("_fuzz");
}

// Root-relative includes of a file that name one of the project's folders.
std::vector<std::string> project_includes(const fs::path& path) {
  static const std::regex pattern("^\\s*#\\s*include\\s*\"([^\"]+)\"");
  std::vector<std::string> found;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (std::smatch match; std::regex_search(line, match, pattern)) found.push_back(match[1]);
  }
  return found;
}

template <typename Visit>
void for_each_source(const std::string& folder, Visit visit) {
  size_t visited = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(KVCAST_SOURCE_DIR) / folder)) {
    if (!entry.is_regular_file() || !is_source(entry.path())) continue;
    ++visited;
    visit(entry.path());
  }
  EXPECT_GT(visited, 0u) << folder;
}

TEST(Structure, IncludesFollowTheArrows) {
  for (const auto& [folder, allowed] : kMayInclude) {
    for_each_source(folder, [&](const fs::path& path) {
      for (const std::string& include : project_includes(path)) {
        const std::string target = include.substr(0, include.find('/'));
        const bool fuzzes = target == "tests" && is_fuzz_target(path);
        EXPECT_TRUE(allowed.contains(target) || fuzzes) << path << " includes " << include;
      }
    });
  }
}

TEST(Structure, NobodyIncludesAnothersSubFolder) {
  for (const std::string folder :
       {"kernels", "manifests", "origin", "packager", "player", "tools", "tests"}) {
    for_each_source(folder, [&](const fs::path& path) {
      for (const std::string& include : project_includes(path)) {
        const std::string target = include.substr(0, include.find('/'));
        const bool in_sub_folder = include.find('/') != include.rfind('/');
        if (target == folder || !kMayInclude.contains(target)) continue;
        EXPECT_FALSE(in_sub_folder) << path << " includes " << include;
      }
    });
  }
}

TEST(Structure, OnlyKernelsKnowIntrinsicsAndCuda) {
  static const std::regex pattern("#\\s*include\\s*<(immintrin|cuda|cuda_runtime)[^>]*>");
  for (const std::string folder :
       {"kernels", "manifests", "origin", "packager", "player", "tools"}) {
    for_each_source(folder, [&](const fs::path& path) {
      std::ifstream in(path);
      for (std::string line; std::getline(in, line);) {
        if (!std::regex_search(line, pattern)) continue;
        EXPECT_EQ(folder, "kernels") << path << ": " << line;
      }
    });
  }
}

TEST(Structure, FilesStaySmall) {
  // The few exceptions say why at their top; none yet.
  for (const std::string folder :
       {"kernels", "manifests", "origin", "packager", "player", "tools"}) {
    for_each_source(folder, [&](const fs::path& path) {
      if (is_test(path)) return;
      std::ifstream in(path);
      size_t lines = 0;
      for (std::string line; std::getline(in, line);) ++lines;
      EXPECT_LE(lines, 400u) << path;
    });
  }
}

}  // namespace
