#include "origin/files/root.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

namespace fs = std::filesystem;

class RootTest : public ::testing::TestWithParam<Root::Method> {
 protected:
  void SetUp() override {
    outside_.write("secret", "secret");
    folder_.write("a.txt", "hello");
    folder_.write("x/y/z.bin", "deep");
    auto root = Root::open_directory(folder_.path().string(), GetParam());
    if (!root.ok()) GTEST_SKIP() << root.error().message;
    root_.emplace(std::move(*root));
  }

  void link(const fs::path& target, const std::string& name) {
    fs::create_symlink(target, folder_.path() / name);
  }
  std::string read(const std::string& path) const {
    const OpenedFile file = root_->open(path);
    if (file.error_status != 0) return std::to_string(file.error_status);
    std::string text(file.info.bytes, '\0');
    EXPECT_EQ(::read(file.descriptor.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
    return text;
  }

  testing::TemporaryFolder folder_, outside_;
  std::optional<Root> root_;
};

TEST_P(RootTest, OpensFiles) {
  EXPECT_EQ(root_->method(), GetParam());
  EXPECT_EQ(read("a.txt"), "hello");
  EXPECT_EQ(read("x/y/z.bin"), "deep");
}

TEST_P(RootTest, TellsSizeTimeAndInode) {
  folder_.set_modified("a.txt", 784111777);
  const OpenedFile file = root_->open("a.txt");
  EXPECT_EQ(file.info.bytes, 5u);
  EXPECT_EQ(file.info.mtime_ns, 784111777ll * 1'000'000'000);
  const uint64_t inode = file.info.inode;
  folder_.write("a.txt", "world");
  EXPECT_NE(root_->open("a.txt").info.inode, inode);
  EXPECT_EQ(read("a.txt"), "world");
}

TEST_P(RootTest, MissingOnesAreNotFound) {
  for (const char* path : {"b.txt", "x/b.txt", "b/a.txt", "a.txt/b", "x", "x/y"}) {
    EXPECT_EQ(root_->open(path).error_status, 404) << path;
  }
  EXPECT_EQ(root_->open(std::string(300, 'n')).error_status, 404);
  EXPECT_EQ(root_->open(std::string(6000, 'n')).error_status, 404);
}

TEST_P(RootTest, NothingOutsideEvenIfAsked) {
  const std::string secret = outside_.path().string() + "/secret";
  const std::string sideways = "../" + outside_.path().filename().string() + "/secret";
  ASSERT_TRUE(fs::exists(folder_.path() / sideways));
  for (const std::string& path : {sideways, "x/../" + sideways, secret}) {
    EXPECT_EQ(root_->open(path).error_status, 404) << path;
  }
}

TEST_P(RootTest, LinksThatLeaveAreNotFound) {
  link(outside_.path() / "secret", "absolute");
  link(fs::path("..") / outside_.path().filename() / "secret", "relative");
  link(outside_.path(), "folder");
  link(fs::path("..") / outside_.path().filename(), "x/up");
  link("/proc/self/root", "magic");
  link("/proc/self/cwd", "cwd");
  link("loop", "loop");
  for (const char* path : {"absolute", "relative", "folder/secret", "x/up/secret",
                           "magic/etc/passwd", "cwd", "loop"}) {
    EXPECT_EQ(root_->open(path).error_status, 404) << path;
  }
}

TEST_P(RootTest, LinksThatStayWorkWhereTheKernelCanTell) {
  link("a.txt", "near");
  link("../a.txt", "x/up.txt");
  link("x/y", "folder");
  const bool follows = GetParam() == Root::Method::kOpenat2;
  EXPECT_EQ(read("near"), follows ? "hello" : "404");
  EXPECT_EQ(read("x/up.txt"), follows ? "hello" : "404");
  EXPECT_EQ(read("folder/z.bin"), follows ? "deep" : "404");
}

TEST_P(RootTest, OnlyRegularFiles) {
  ASSERT_EQ(::mkfifo((folder_.path() / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(root_->open("fifo").error_status, 404);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder_.path() / "sock").string().copy(address.sun_path, sizeof address.sun_path - 1);
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(root_->open("sock").error_status, 404);
}

TEST_P(RootTest, HoldsWhileAFolderIsSwappedForALink) {
  folder_.write("swap/secret", "harmless");
  std::atomic<bool> stop{false};
  std::thread attacker([&] {
    const fs::path real = folder_.path() / "swap", aside = folder_.path() / "aside";
    while (!stop) {
      fs::rename(real, aside);
      fs::create_directory_symlink(outside_.path(), real);
      fs::remove(real);
      fs::rename(aside, real);
    }
  });
  size_t opened = 0;
  // On a busy machine the attacker may hold the folder away for long.
  for (int i = 0; i < 20000 || (opened == 0 && i < 5000000); ++i) {
    const std::string text = read("swap/secret");
    opened += text == "harmless";
    if (text == "secret") ADD_FAILURE() << "got out at try " << i;
  }
  stop = true;
  attacker.join();
  EXPECT_GT(opened, 0u);
}

INSTANTIATE_TEST_SUITE_P(Methods, RootTest,
                         ::testing::Values(Root::Method::kOpenat2, Root::Method::kWalk),
                         [](const auto& method) {
                           return method.param == Root::Method::kOpenat2 ? "Openat2" : "Walk";
                         });

TEST(Root, WhatCannotBeServed) {
  testing::TemporaryFolder folder;
  const std::string file = folder.write("file", "x");
  for (const std::string& path : {file, folder.path().string() + "/none", std::string()}) {
    const auto root = Root::open_directory(path);
    ASSERT_FALSE(root.ok()) << path;
    EXPECT_EQ(root.error().kind, manifests::ErrorKind::kIo);
    EXPECT_NE(root.error().message.find(path), std::string::npos);
  }
}

}  // namespace
}  // namespace kvcast::origin
