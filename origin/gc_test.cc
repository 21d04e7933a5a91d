#include "origin/gc.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <atomic>
#include <fstream>
#include <map>
#include <thread>

#include "manifests/folder_lock.h"
#include "manifests/layout.h"
#include "origin/files/root.h"
#include "origin/testing/folder.h"
#include "origin/testing/presentation.h"

namespace kvcast::origin {
namespace {

namespace fs = std::filesystem;
using testing::make_presentation;
using testing::Presentation;
using testing::some_tokens;

constexpr int64_t kNow = 1'800'000'000;  // 2027-01-15T08:00:00Z
constexpr char kPast[] = "2027-01-15T07:59:59Z", kFuture[] = "2027-01-15T08:00:01Z";
constexpr int64_t kGrace = 1000, kOld = kNow - 2 * kGrace, kYoung = kNow - kGrace / 2;

class GcTest : public ::testing::Test {
 protected:
  GcTest() {
    params_.root = folder_.path().string();
    params_.grace_s = kGrace;
    params_.now_s = kNow;
  }
  void store(const std::string& path, const std::string& bytes, int64_t mtime_s = kOld) {
    folder_.write("t/acme/" + path, bytes);
    folder_.set_modified("t/acme/" + path, mtime_s);
  }
  void store(const Presentation& what) {
    for (const auto& [path, bytes] : what.files()) store(path, bytes);
  }
  GcReport collect() {
    auto report = collect_garbage(params_);
    EXPECT_TRUE(report.ok());
    return *report;
  }
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found;
    const fs::path root = folder_.path() / "t/acme";
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      found[fs::relative(entry.path(), root).string()] =
          std::string(std::istreambuf_iterator<char>(in), {});
    }
    return found;
  }

  testing::TemporaryFolder folder_;
  GcParams params_;
};

TEST_F(GcTest, KeepsAllThatIsNamed) {
  const Presentation book = make_presentation("book", some_tokens(80), kFuture);
  store(book);
  const GcReport report = collect();
  EXPECT_EQ(files(), book.files());
  EXPECT_EQ(report.removed_bytes, 0u);
  EXPECT_EQ(report.manifests, 1u);
  EXPECT_EQ(report.objects, book.objects.size());
  EXPECT_TRUE(report.problems.empty());
}

TEST_F(GcTest, AnExpiredPresentationGoesWhole) {
  const Presentation old = make_presentation("old", some_tokens(80, 1), kPast);
  const Presentation book = make_presentation("book", some_tokens(80, 2));
  store(old);
  store(book);  // shares the profile
  params_.dry_run = true;
  const GcReport foreseen = collect();
  EXPECT_EQ(files().size(), old.files().size() + book.files().size() - 1);
  params_.dry_run = false;
  const GcReport report = collect();
  EXPECT_EQ(files(), book.files());
  EXPECT_EQ(report.expired_manifests, 1u);
  EXPECT_EQ(report.removed_entries, 5u);
  EXPECT_EQ(report.removed_objects, old.objects.size() - 1);
  EXPECT_EQ(report.removed_bytes, foreseen.removed_bytes);
  EXPECT_EQ(report.removed_objects, foreseen.removed_objects);
}

TEST_F(GcTest, WhatIsYoungMayBeNamedSoon) {
  const Presentation book = make_presentation("book", some_tokens(32));
  for (const auto& [path, bytes] : book.objects) store(path, bytes, kYoung);
  collect();
  EXPECT_EQ(files(), book.objects);
  for (const auto& [path, bytes] : book.objects) store(path, bytes, kOld);
  EXPECT_EQ(collect().removed_objects, book.objects.size());
  EXPECT_TRUE(files().empty());
}

TEST_F(GcTest, SharedEntriesNameThePresentationThatStays) {
  // The first 40 tokens are common: two blocks of the first chunk, one half way into the second.
  const Presentation book = make_presentation("book", some_tokens(96, 1, 48));
  const Presentation old = make_presentation("old", some_tokens(96, 2, 48), kPast);
  store(book);
  store(old);  // later, so that the shared ones name it
  EXPECT_EQ(files().at("k/model-1/" + book.hashes[0].hex()),
            manifests::write_prefix_entry({"old", 16, 0}));
  const GcReport report = collect();
  EXPECT_EQ(report.renamed_entries, 3u);
  EXPECT_EQ(report.removed_entries, 3u);
  EXPECT_EQ(files(), book.files());
}

TEST_F(GcTest, EntriesOfAnotherSaltAreNotTaken) {
  const Presentation book = make_presentation("book", some_tokens(32));
  store(book);
  const manifests::Digest other =
      manifests::prefix_hashes({"else", testing::kModel, "", {}}, some_tokens(32))[0];
  store("k/model-1/" + other.hex(), manifests::write_prefix_entry({"gone", 16, 0}));
  EXPECT_EQ(collect().removed_entries, 1u);
  EXPECT_EQ(files(), book.files());
}

TEST_F(GcTest, AManifestThatCannotBeReadKeepsItsTenantsObjects) {
  const Presentation book = make_presentation("book", some_tokens(32));
  store(book);
  const std::string stray = manifests::object_path_in_tenant(manifests::sha256({}));
  store(stray, "");
  store("m/damaged.json", book.manifest_text().substr(1));
  const GcReport report = collect();
  EXPECT_EQ(report.removed_objects, 0u);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_NE(report.problems[0].find("damaged.json"), std::string::npos);
  EXPECT_TRUE(files().contains(stray));
}

TEST_F(GcTest, UnfinishedUploadsGoUnlessSomeoneIsAtThem) {
  store("m/x", "");
  store(".incoming/old", "1234");
  store(".incoming/young", "1234", kYoung);
  store(".incoming/active", "1234");
  const Descriptor active(
      ::open((folder_.path() / "t/acme/.incoming/active").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(active.get(), LOCK_EX), 0);
  EXPECT_EQ(collect().removed_uploads, 1u);
  EXPECT_EQ(files().size(), 3u);
}

TEST_F(GcTest, OneTenantOnly) {
  const std::string object = manifests::object_path_in_tenant(manifests::sha256({}));
  store(object, "");
  folder_.write("t/other/" + object, "");
  folder_.set_modified("t/other/" + object, kOld);
  params_.tenant = "other";
  EXPECT_EQ(collect().tenants, 1u);
  EXPECT_TRUE(files().contains(object));
  params_.tenant = "nobody";
  EXPECT_FALSE(collect_garbage(params_).ok());
  params_.root += "/t";
  EXPECT_FALSE(collect_garbage(params_).ok());
}

// A publisher that holds the lock while it looks and makes young what it finds, as all of ours do.
TEST_F(GcTest, RacesPublishersWithoutLoss) {
  params_.now_s = 0;
  params_.grace_s = 60;
  const fs::path tenant = folder_.path() / "t/acme";
  const Presentation book = make_presentation("book", some_tokens(320));
  fs::create_directories(tenant);
  std::atomic<bool> over{false};
  std::thread collector([&] {
    while (!over) EXPECT_TRUE(collect_garbage(params_).ok());
  });
  for (int round = 0; round < 30; ++round) {
    for (const auto& [path, bytes] : book.objects) {
      const auto lock = manifests::FolderLock::take(tenant, manifests::FolderLock::Mode::kShared);
      ASSERT_TRUE(lock.ok());
      if (fs::exists(tenant / path)) {
        fs::last_write_time(tenant / path, fs::file_time_type::clock::now());
      } else {
        folder_.write("t/acme/" + path, bytes);
      }
    }
    for (const auto& [path, bytes] : book.objects) {
      ASSERT_TRUE(fs::exists(tenant / path)) << "round " << round;
      folder_.set_modified("t/acme/" + path, 1);  // a day later, for the next round
    }
  }
  over = true;
  collector.join();
}

}  // namespace
}  // namespace kvcast::origin
