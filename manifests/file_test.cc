#include "manifests/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "manifests/file/temporary.h"
#include "manifests/staged_file.h"
#include "manifests/testing/golden.h"
#include "manifests/testing/temp_folder.h"

namespace kvcast::manifests {
namespace {

namespace fs = std::filesystem;

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

TEST(File, WrittenFilesReadBackAndFoldersAreMade) {
  const TempFolder folder;
  const std::string path = folder / "a/b/c/file";
  ASSERT_TRUE(write_file_atomically(path, as_bytes("one")).ok());
  ASSERT_TRUE(write_file_atomically(path, as_bytes("two, longer")).ok());
  const auto bytes = read_file(path, 100);
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  EXPECT_EQ(as_text(*bytes), "two, longer");
  EXPECT_EQ(files_in(folder.path() / "a/b/c"), 1u);
  ASSERT_TRUE(write_file_atomically(path, {}).ok());
  EXPECT_TRUE(read_file(path, 0)->empty());
}

TEST(File, AFailedWriteLeavesNothingBehind) {
  const TempFolder folder;
  fs::create_directories(folder.path() / "taken/below");
  const Status over_folder = write_file_atomically(folder / "taken", as_bytes("x"));
  ASSERT_FALSE(over_folder.ok());
  EXPECT_EQ(over_folder.error().kind, ErrorKind::kIo);
  EXPECT_NE(over_folder.error().message.find(folder / "taken"), std::string::npos);
  EXPECT_EQ(files_in(folder.path()), 1u);

  ASSERT_TRUE(write_file_atomically(folder / "file", as_bytes("x")).ok());
  EXPECT_FALSE(write_file_atomically(folder / "file/below", as_bytes("x")).ok());
  EXPECT_FALSE(write_file_atomically("", as_bytes("x")).ok());
}

TEST(File, OneOfTwoWritersWinsWhole) {
  const TempFolder folder;
  const std::string path = folder / "file";
  const std::string long_text(100'000, 'a');
  const auto write_often = [&](std::string_view text) {
    for (int i = 0; i < 30; ++i) EXPECT_TRUE(write_file_atomically(path, as_bytes(text)).ok());
  };
  write_often("b");
  std::thread one(write_often, long_text), other(write_often, "b");
  for (int i = 0; i < 200; ++i) {
    const auto bytes = read_file(path, 1 << 20);
    ASSERT_TRUE(bytes.ok()) << bytes.error().message;
    EXPECT_TRUE(bytes->size() == 1 || bytes->size() == long_text.size()) << bytes->size();
  }
  one.join();
  other.join();
  EXPECT_EQ(files_in(folder.path()), 1u);
}

// Without a lock a file with a temporary's name was left by a process that is gone.
TEST(File, WhatKilledWritersLeftIsRemovedAndWhatLivingOnesWriteIsNot) {
  const TempFolder folder;
  const std::string root = folder.path().string();
  auto living = StagedFile::create(root);
  ASSERT_TRUE(living.ok()) << living.error().message;
  ASSERT_TRUE(living->write(0, as_bytes("half")).ok());
  ASSERT_TRUE(write_file_atomically(folder / ".tmp-0123456789abcdef", as_bytes("left")).ok());
  ASSERT_TRUE(write_file_atomically(folder / "other", as_bytes("stays")).ok());
  EXPECT_EQ(files_in(folder.path()), 3u);
  remove_abandoned(root);
  EXPECT_EQ(files_in(folder.path()), 2u);
  EXPECT_FALSE(fs::exists(folder / ".tmp-0123456789abcdef"));
  ASSERT_TRUE(living->rename_to(folder / "done").ok());
  EXPECT_EQ(as_text(*read_file(folder / "done", 100)), "half");
  remove_abandoned(folder / "no such folder");
}

TEST(File, AWriterRemovesOnlyWhatWritersOfItsOwnPathLeft) {
  const TempFolder folder;
  {
    // The names that writers of these two paths use, from ones that are caught in the act.
    auto one = TemporaryFile::create(folder / "one");
    auto two = TemporaryFile::create(folder / "two");
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      fs::copy(entry.path(), entry.path().string() + "-copy");
    }
  }
  ASSERT_EQ(files_in(folder.path()), 2u);
  ASSERT_TRUE(write_file_atomically(folder / "one", as_bytes("x")).ok());
  EXPECT_EQ(files_in(folder.path()), 2u);
  ASSERT_TRUE(write_file_atomically(folder / "two", as_bytes("x")).ok());
  EXPECT_EQ(files_in(folder.path()), 2u);
  EXPECT_TRUE(fs::exists(folder / "one") && fs::exists(folder / "two"));
}

TEST(File, ReadingChecksLimitAndKind) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "file", as_bytes("12345")).ok());
  EXPECT_TRUE(read_file(folder / "file", 5).ok());
  const auto over = read_file(folder / "file", 4);
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().message, (folder / "file") + ": 5 bytes, more than the limit of 4");
  EXPECT_EQ(read_file(folder / "none", 5).error().kind, ErrorKind::kIo);
  EXPECT_FALSE(read_file(folder.path().string(), 5).ok());
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_FALSE(read_file(folder / "fifo", 5).ok());  // and does not wait for a writer
}

}  // namespace
}  // namespace kvcast::manifests
