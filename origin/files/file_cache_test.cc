#include "origin/files/file_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "manifests/digest.h"
#include "manifests/layout.h"
#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

using std::chrono::milliseconds;
using Clock = FileCache::Clock;

class FileCacheTest : public ::testing::Test {
 protected:
  FileCache& make(const FileCacheParams& params = {}) {
    root_.emplace(std::move(*Root::open_directory(folder_.path().string())));
    return cache_.emplace(*root_, params);
  }
  static std::string read(const FileCache::Found& found) {
    if (found.error_status != 0) return std::to_string(found.error_status);
    std::string text(found.file->facts.bytes, '\0');
    EXPECT_EQ(::pread(found.file->descriptor.get(), text.data(), text.size(), 0),
              static_cast<ssize_t>(text.size()));
    return text;
  }

  testing::TemporaryFolder folder_;
  const std::string object_ = manifests::object_path("public", manifests::sha256({}));
  const Clock::time_point now_ = Clock::now();
  std::optional<Root> root_;
  std::optional<FileCache> cache_;
};

TEST_F(FileCacheTest, OpensOnce) {
  folder_.write("a", "text");
  FileCache& cache = make();
  const auto first = cache.open("a", now_), second = cache.open("a", now_);
  EXPECT_EQ(read(first), "text");
  EXPECT_EQ(first.file, second.file);
  EXPECT_EQ(cache.open("none", now_).error_status, 404);
  EXPECT_EQ(cache.size(), 1u);
}

TEST_F(FileCacheTest, AReplacedFileIsNeverServedAgain) {
  FileCache& cache = make();
  for (int i = 0; i < 200; ++i) {  // of one size, faster than the file system's clock
    const std::string text = std::to_string(1000 + i);
    folder_.write("t/a/m/x.json", text);
    ASSERT_EQ(read(cache.open("t/a/m/x.json", now_)), text);
    ASSERT_EQ(read(cache.open("t/a/m/x.json", now_)), text);
  }
}

TEST_F(FileCacheTest, AFileThatGrowsOrGoesIsNoticed) {
  const std::string path = folder_.write("a", "text");
  FileCache& cache = make();
  EXPECT_EQ(read(cache.open("a", now_)), "text");
  std::ofstream(path, std::ios::app) << " and more";
  EXPECT_EQ(read(cache.open("a", now_)), "text and more");
  ::unlink(path.c_str());
  EXPECT_EQ(cache.open("a", now_).error_status, 404);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(FileCacheTest, AFolderSwappedForALinkOutIsNotFollowed) {
  testing::TemporaryFolder outside;
  outside.write("secret", "secret");
  folder_.write("x/secret", "public");
  FileCache& cache = make();
  EXPECT_EQ(read(cache.open("x/secret", now_)), "public");
  std::filesystem::rename(folder_.path() / "x", folder_.path() / "y");
  std::filesystem::create_directory_symlink(outside.path(), folder_.path() / "x");
  EXPECT_EQ(cache.open("x/secret", now_).error_status, 404);
}

TEST_F(FileCacheTest, ObjectsAreTrustedForAWhile) {
  const std::string path = folder_.write(object_, "");
  FileCache& cache = make({8, 1000, 10'000});
  EXPECT_EQ(cache.open(object_, now_).error_status, 0);
  ::unlink(path.c_str());
  EXPECT_EQ(cache.open(object_, now_ + milliseconds(999)).error_status, 0);
  EXPECT_EQ(cache.open(object_, now_ + milliseconds(1000)).error_status, 404);
}

TEST_F(FileCacheTest, KeepsTheOnesUsedLast) {
  for (const char* name : {"a", "b", "c"}) folder_.write(name, name);
  FileCache& cache = make({2, 1000, 10'000});
  const auto a = cache.open("a", now_).file, b = cache.open("b", now_).file;
  EXPECT_EQ(cache.open("a", now_).file, a);
  cache.open("c", now_);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.open("a", now_).file, a);
  EXPECT_NE(cache.open("b", now_).file, b);
  EXPECT_EQ(read({0, b}), "b") << "whoever holds one goes on reading";
}

TEST_F(FileCacheTest, KeepsNothingIfToldSo) {
  folder_.write("a", "text");
  FileCache& cache = make({0, 1000, 10'000});
  EXPECT_EQ(read(cache.open("a", now_)), "text");
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(FileCacheTest, ClosesIdleOnes) {
  folder_.write("a", "text");
  folder_.write("b", "text");
  FileCache& cache = make({8, 1000, 10'000});
  cache.open("a", now_);
  cache.open("b", now_ + milliseconds(5000));
  cache.sweep(now_ + milliseconds(9999));
  EXPECT_EQ(cache.size(), 2u);
  cache.sweep(now_ + milliseconds(10'000));
  EXPECT_EQ(cache.size(), 1u);
  cache.sweep(now_ + milliseconds(15'000));
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(FileCacheTest, GzipFormsAreMadeOnceAndOnlyOfManifests) {
  folder_.write("t/a/m/x.json", std::string(5000, 'x'));
  folder_.write("x.json", std::string(5000, 'x'));
  FileCache& cache = make();
  const auto manifest = cache.open("t/a/m/x.json", now_).file;
  ASSERT_TRUE(FileCache::provide_gzip(*manifest));
  EXPECT_EQ(manifest->gzip_facts.bytes, manifest->gzip.size());
  const char* const bytes = manifest->gzip.data();
  ASSERT_TRUE(FileCache::provide_gzip(*cache.open("t/a/m/x.json", now_).file));
  EXPECT_EQ(manifest->gzip.data(), bytes);
  EXPECT_FALSE(FileCache::provide_gzip(*cache.open("x.json", now_).file));
}

}  // namespace
}  // namespace kvcast::origin
