// Repeated, interrupted and failing runs: what is named always exists, and nothing is written
// twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "manifests/digest.h"
#include "manifests/layout.h"
#include "manifests/memory_store.h"
#include "packager/packager.h"
#include "packager/testing/folder.h"
#include "packager/testing/synthetic_kv.h"

namespace kvcast::packager {
namespace {

using testing::HasSubstr;

class Publication : public testing::Test {
 protected:
  Publication() {
    kv_.tokens = 150;
    write_kv_file(folder_ / "kv.safetensors", kv_);
  }

  PackParams params(const std::string& out) const {
    PackParams params;
    params.input = folder_ / "kv.safetensors";
    params.out = folder_ / out;
    params.chunk_tokens = 16;
    params.created = "2026-01-31T12:00:00Z";
    params.exact = true;
    params.threads = 2;
    return params;
  }

  PackReport must_pack(const PackParams& params) const {
    auto report = pack(params);
    if (!report.ok()) throw std::runtime_error(report.error().message);
    return std::move(*report);
  }

  void expect_nothing_published(const std::string& out) const {
    for (const auto& [path, content] : tree(folder_ / out)) {
      EXPECT_FALSE(path.starts_with("t/public/m/")) << path;
      EXPECT_FALSE(path.starts_with("t/public/k/")) << path;
      EXPECT_EQ(path.find("/.tmp-"), std::string::npos) << path;
    }
  }

  TestFolder folder_;
  SyntheticKv kv_;
};

TEST_F(Publication, ASecondRunWritesNothing) {
  const PackReport first = must_pack(params("store"));
  const auto before = stamps(folder_ / "store");
  PackParams again = params("store");
  again.created = "2027-01-01T00:00:00Z";
  const PackReport second = must_pack(again);
  EXPECT_EQ(stamps(folder_ / "store"), before);
  EXPECT_TRUE(first.manifest_written);
  EXPECT_FALSE(second.manifest_written);
  EXPECT_EQ(second.manifest.created, first.manifest.created);
  EXPECT_EQ(second.objects_written, 0u);
  EXPECT_EQ(second.objects_reused, first.objects_written);
  EXPECT_EQ(second.prefix_entries_reused, first.prefix_entries_written);
}

TEST_F(Publication, AChangedManifestReplacesTheOld) {
  must_pack(params("store"));
  PackParams changed = params("store");
  changed.expires = "2028-01-01T00:00:00Z";
  changed.base_urls = {{"https://cdn.example/t/public/", 1, 3}};
  const PackReport report = must_pack(changed);
  EXPECT_TRUE(report.manifest_written);
  EXPECT_EQ(report.objects_written, 0u);
  EXPECT_THAT(read_text(report.manifest_path), HasSubstr("cdn.example"));
}

TEST_F(Publication, AnObjectOfAnotherSizeIsWrittenAgain) {
  must_pack(params("store"));
  const auto expected = tree(folder_ / "store");
  const auto object = std::find_if(expected.begin(), expected.end(),
                                   [](const auto& file) { return file.first.ends_with(".kvo"); });
  write_text(folder_ / ("store/" + object->first), object->second.substr(1));
  EXPECT_EQ(must_pack(params("store")).objects_written, 1u);
  EXPECT_EQ(tree(folder_ / "store"), expected);
}

TEST_F(Publication, ADamagedObjectIsWrittenAgainWhenAskedToLook) {
  must_pack(params("store"));
  const auto expected = tree(folder_ / "store");
  const auto object = std::find_if(expected.begin(), expected.end(),
                                   [](const auto& file) { return file.first.ends_with(".kvo"); });
  std::string damaged = object->second;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  write_text(folder_ / ("store/" + object->first), damaged);
  EXPECT_EQ(must_pack(params("store")).objects_written, 0u);
  PackParams looking = params("store");
  looking.verify_existing = true;
  EXPECT_EQ(must_pack(looking).objects_written, 1u);
  EXPECT_EQ(tree(folder_ / "store"), expected);
}

TEST_F(Publication, AStoppedRunLeavesNoManifestAndTheNextRunFinishes) {
  must_pack(params("whole"));
  const auto expected = tree(folder_ / "whole");
  for (const int calls : {0, 1, 2, 3, 7, 12, 20, 39}) {
    const std::string out = "stopped" + std::to_string(calls);
    std::stop_source source;
    int left = calls;
    if (left == 0) source.request_stop();
    const auto report = pack(
        params(out),
        [&](const PackProgress&) {
          if (--left == 0) source.request_stop();
        },
        source.get_token());
    ASSERT_FALSE(report.ok()) << calls;
    EXPECT_EQ(report.error().kind, manifests::ErrorKind::kIo);
    EXPECT_THAT(report.error().message, HasSubstr("stopped"));
    expect_nothing_published(out);
    must_pack(params(out));
    EXPECT_EQ(tree(folder_ / out), expected) << calls;
  }
}

TEST_F(Publication, ProgressGoesUpToTheTotal) {
  std::vector<PackProgress> calls;
  const auto report =
      pack(params("store"), [&](const PackProgress& call) { calls.push_back(call); });
  ASSERT_TRUE(report.ok());
  std::map<PackPhase, uint64_t> last;
  for (const PackProgress& call : calls) {
    EXPECT_GE(call.bytes_done, last[call.phase]);
    EXPECT_LE(call.bytes_done, call.bytes_total);
    last[call.phase] = call.bytes_done;
  }
  EXPECT_EQ(last[PackPhase::kEncoding], report->raw_bytes);
  EXPECT_EQ(last[PackPhase::kPublishing], 150u / 16);
  EXPECT_GT(last[PackPhase::kMeasuring], 0u);
}

TEST_F(Publication, AnOutputThatCannotBeMadeIsAnError) {
  write_text(folder_ / "file", "not a folder");
  const auto report = pack(params("file"));
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().kind, manifests::ErrorKind::kIo);
  EXPECT_THAT(report.error().message, HasSubstr("file/t"));
}

// A limit on the size of files stands for a full disk: writes fail in the middle of an object.
TEST_F(Publication, AFailedWriteLeavesNoManifest) {
  kv_.geometry = {1, 1, 64, 1, 64};
  kv_.tokens = 256;
  write_kv_file(folder_ / "kv.safetensors", kv_);
  PackParams large = params("store");
  large.chunk_tokens = 256;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{8192, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto report = pack(large);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().kind, manifests::ErrorKind::kIo);
  EXPECT_THAT(report.error().message, HasSubstr("cannot write"));
  expect_nothing_published("store");
  must_pack(large);
}

// What a store shows must be whole at every moment: whatever call fails, for a moment or for good.
void expect_consistent(const std::map<std::string, std::string>& files, const std::string& when) {
  bool has_manifest = false;
  for (const auto& [path, text] : files) {
    if (path.starts_with("t/public/o/")) {
      const auto digest = manifests::sha256(std::as_bytes(std::span(text)));
      EXPECT_EQ(path, manifests::object_path("public", digest)) << when;
    }
    if (!path.starts_with("t/public/m/")) continue;
    has_manifest = true;
    const auto manifest = manifests::read_manifest(text, path);
    ASSERT_TRUE(manifest.ok()) << when;
    EXPECT_TRUE(files.contains(manifests::object_path("public", manifest->profile.digest))) << when;
    for (const auto& chunk : manifest->chunks) {
      for (const auto& plane : chunk.planes) {
        EXPECT_TRUE(files.contains(manifests::object_path("public", plane.digest))) << when;
      }
      EXPECT_TRUE(files.contains(manifests::object_path("public", chunk.exact->digest))) << when;
    }
  }
  for (const auto& [path, text] : files) {
    EXPECT_TRUE(has_manifest || !path.starts_with("t/public/k/")) << when << path;
  }
}

TEST_F(Publication, AnyStoreHoldsWhatADirectoryHolds) {
  must_pack(params("store"));
  manifests::MemoryStore store;
  store.set_parallelism(4);
  const auto first = pack(params("memory"), store);
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(store.files(), tree(folder_ / "store"));
  const auto second = pack(params("memory"), store);
  EXPECT_EQ(second->objects_written + second->prefix_entries_written, 0u);
  EXPECT_FALSE(second->manifest_written);
}

TEST_F(Publication, WhateverCallOfAStoreFailsNothingHalfIsSeenAndTheNextRunFinishes) {
  manifests::MemoryStore whole;
  PackParams once = params("memory");
  once.threads = 1;
  ASSERT_TRUE(pack(once, whole).ok());
  for (const bool for_good : {false, true}) {
    for (size_t call = 1; call <= whole.calls(); call += 1 + call / 8) {
      const std::string when = "call " + std::to_string(call);
      manifests::MemoryStore store;
      store.fail_on_call(call, for_good);
      const auto failed = pack(once, store);
      expect_consistent(store.files(), when);
      store.fail_on_call(0);
      const auto again = pack(once, store);
      ASSERT_TRUE(again.ok()) << when;
      EXPECT_EQ(store.files(), whole.files()) << when;
    }
  }
}

}  // namespace
}  // namespace kvcast::packager
