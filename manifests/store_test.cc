// What every kind of store promises, and what the one in memory adds for tests.
#include "manifests/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "manifests/directory_store.h"
#include "manifests/memory_store.h"
#include "manifests/open_store.h"
#include "manifests/testing/temp_folder.h"

namespace kvcast::manifests {
namespace {

Upload staged(Store& store, const std::string& path, std::string_view text) {
  auto file = store.stage("t/public/o");
  if (!file.ok()) throw std::runtime_error(file.error().message);
  const Status written = file->write(0, std::as_bytes(std::span(text)));
  if (!written.ok()) throw std::runtime_error(written.error().message);
  return {path, std::move(*file), text.size()};
}

Status put(Store& store, const std::string& path, std::string_view text,
           bool only_if_absent = false) {
  std::vector<Upload> uploads;
  uploads.push_back(staged(store, path, text));
  uploads.back().only_if_absent = only_if_absent;
  return store.put(std::move(uploads));
}

std::optional<std::string> text_of(Store& store, const std::string& path) {
  auto text = read_text(store, path, 1000);
  if (!text.ok()) throw std::runtime_error(text.error().message);
  return *text;
}

class AnyStore : public testing::TestWithParam<const char*> {
 protected:
  AnyStore() {
    if (GetParam() == std::string("directory")) {
      store_ = std::make_unique<DirectoryStore>(folder_ / "store");
    } else {
      store_ = std::make_unique<MemoryStore>();
    }
  }
  TempFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_P(AnyStore, GivesBackWhatWasPut) {
  EXPECT_EQ(text_of(*store_, "t/public/m/a.json"), std::nullopt);
  EXPECT_FALSE(store_->look("t/public/m/a.json")->has_value());
  ASSERT_TRUE(put(*store_, "t/public/m/a.json", "first").ok());
  ASSERT_TRUE(store_->sync().ok());
  EXPECT_EQ(text_of(*store_, "t/public/m/a.json"), "first");
  EXPECT_EQ((*store_->look("t/public/m/a.json"))->bytes, 5u);
  ASSERT_TRUE(put(*store_, "t/public/m/a.json", "second").ok());
  EXPECT_EQ(text_of(*store_, "t/public/m/a.json"), "second");
  EXPECT_EQ(text_of(*store_, "t/public/m"), std::nullopt);
}

TEST_P(AnyStore, KeepsWhatIsThereWhenAsked) {
  ASSERT_TRUE(put(*store_, "t/public/o/x", "first", true).ok());
  ASSERT_TRUE(put(*store_, "t/public/o/x", "second", true).ok());
  EXPECT_EQ(text_of(*store_, "t/public/o/x"), "first");
}

TEST_P(AnyStore, ReadsWhatChangedOnly) {
  ASSERT_TRUE(put(*store_, "m", "first").ok());
  const auto nothing = [](std::span<const std::byte>) {
    ADD_FAILURE() << "read though unchanged";
    return Status();
  };
  const std::string tag = (*store_->look("m"))->tag;
  EXPECT_EQ(store_->read("m", tag, nothing)->kind, ReadOutcome::Kind::kUnchanged);
  ASSERT_TRUE(put(*store_, "m", "other").ok());
  std::string text;
  const auto outcome = store_->read("m", tag, [&](std::span<const std::byte> piece) {
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return Status();
  });
  EXPECT_EQ(outcome->kind, ReadOutcome::Kind::kRead);
  EXPECT_EQ(text, "other");
  EXPECT_NE(outcome->facts.tag, tag);
}

TEST_P(AnyStore, ListsAndRemoves) {
  for (const char* path : {"t/a/o/11/x.kvo", "t/a/m/p.json", "t/b/m/p.json"}) {
    ASSERT_TRUE(put(*store_, path, "some bytes").ok());
  }
  const auto unfinished = staged(*store_, "never", "put");
  std::set<std::string> paths;
  const auto collect = [&](const ListedFile& file) {
    EXPECT_EQ(file.bytes, 10u);
    paths.insert(file.path);
    return Status();
  };
  ASSERT_TRUE(store_->list("t/a/", collect).ok());
  EXPECT_THAT(paths, testing::ElementsAre("t/a/m/p.json", "t/a/o/11/x.kvo"));
  paths.clear();
  ASSERT_TRUE(store_->list("t/c/", collect).ok());
  EXPECT_TRUE(paths.empty());
  EXPECT_TRUE(*store_->remove("t/a/m/p.json"));
  EXPECT_FALSE(*store_->remove("t/a/m/p.json"));
  ASSERT_TRUE(store_->list("", collect).ok());
  EXPECT_THAT(paths, testing::ElementsAre("t/a/o/11/x.kvo", "t/b/m/p.json"));
}

TEST_P(AnyStore, RefusesATextThatIsTooLong) {
  ASSERT_TRUE(put(*store_, "m", "12345").ok());
  EXPECT_TRUE(read_text(*store_, "m", 5).ok());
  EXPECT_FALSE(read_text(*store_, "m", 4).ok());
}

INSTANTIATE_TEST_SUITE_P(Kinds, AnyStore, testing::Values("directory", "memory"),
                         [](const auto& kind) { return std::string(kind.param); });

TEST(MemoryStore, FailsOnTheCallItIsTold) {
  MemoryStore store;
  store.set("a", "1");
  store.fail_on_call(2);
  EXPECT_TRUE(store.look("a").ok());
  EXPECT_FALSE(store.look("a").ok());
  EXPECT_TRUE(store.look("a").ok());
  store.fail_on_call(1, true);
  EXPECT_FALSE(store.look("a").ok());
  EXPECT_FALSE(store.look("a").ok());
}

TEST(ForEachAtOnce, DoesAllOrStopsAtAnError) {
  std::atomic<size_t> sum = 0;
  const auto add = [&](size_t i) {
    sum += i;
    return Status();
  };
  EXPECT_TRUE(for_each_at_once(0, 4, add).ok());
  EXPECT_TRUE(for_each_at_once(100, 4, add).ok());
  EXPECT_EQ(sum, 4950u);
  std::atomic<size_t> done = 0;
  const Status failed = for_each_at_once(1'000'000, 4, [&](size_t i) -> Status {
    ++done;
    if (i == 10) return Error{ErrorKind::kIo, "ten"};
    return {};
  });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "ten");
  EXPECT_LT(done, 1'000'000u);
}

}  // namespace
}  // namespace kvcast::manifests
