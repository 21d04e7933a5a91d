// A good store is good, and every planted defect is found, in the right file, with the right words.
#include "packager/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "kernels/section.h"
#include "manifests/layout.h"
#include "manifests/prefix_hash.h"
#include "packager/packager.h"
#include "packager/testing/folder.h"
#include "packager/testing/synthetic_kv.h"

namespace kvcast::packager {
namespace {

namespace fs = std::filesystem;

using manifests::Manifest;
using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

class Verify : public testing::Test {
 protected:
  Verify() {
    write_kv_file(folder_ / "kv.safetensors", {});
    params_.input = folder_ / "kv.safetensors";
    params_.out = folder_ / "store";
    params_.chunk_tokens = 16;
    params_.exact = true;
    auto report = pack(params_);
    if (!report.ok()) throw std::runtime_error(report.error().message);
    packed_ = std::move(*report);
  }

  std::string object_file(const manifests::Digest& digest) const {
    return folder_ / ("store/" + manifests::object_path("public", digest));
  }
  std::string object_file(uint32_t chunk, uint32_t plane) const {
    return object_file(packed_.manifest.chunks[chunk].planes[plane].digest);
  }

  void change_file(const std::string& path, const std::function<void(std::string&)>& change) {
    std::string text = read_text(path);
    change(text);
    write_text(path, text);
  }

  void change_manifest(const std::function<void(Manifest&)>& change) {
    change(packed_.manifest);
    write_text(packed_.manifest_path, manifests::write_manifest(packed_.manifest));
  }

  // Writes an object whose container is right whatever its sections say, and makes the manifest
  // name it.
  void change_object(manifests::ObjectRef& ref,
                     const std::function<void(manifests::ObjectHeader&,
                                              std::vector<manifests::ObjectSection>&)>& change) {
    const std::string stored = read_text(object_file(ref.digest));
    auto view = manifests::read_object(bytes_of(stored), "stored");
    ASSERT_TRUE(view.ok());
    change(view->header, view->sections);
    const auto changed = manifests::write_object(view->header, view->sections);
    ref.digest = manifests::sha256(changed);
    ref.bytes = changed.size();
    fs::create_directories(fs::path(object_file(ref.digest)).parent_path());
    write_text(object_file(ref.digest),
               {reinterpret_cast<const char*>(changed.data()), changed.size()});
    change_manifest([](Manifest&) {});
  }

  VerifyReport verify(const std::string& salt = "") const {
    VerifyReport report;
    const auto status = verify_store(folder_ / "store", {salt}, report);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return report;
  }

  // One line that names the file and says what is wrong with it.
  void expect_defect(const std::string& file, const testing::Matcher<std::string>& what,
                     const std::string& salt = "") const {
    const VerifyReport report = verify(salt);
    EXPECT_THAT(report.defects,
                Contains(AllOf(Field(&Defect::file, HasSubstr(file)), Field(&Defect::what, what))));
    for (const Defect& defect : report.defects) {
      EXPECT_EQ(defect.what.find('\n'), std::string::npos) << defect.what;
    }
  }

  TestFolder folder_;
  PackParams params_;
  PackReport packed_;
};

TEST_F(Verify, AGoodStoreIsGood) {
  const VerifyReport report = verify();
  EXPECT_TRUE(report.defects.empty()) << report.defects[0].file << ": " << report.defects[0].what;
  EXPECT_TRUE(report.unreferenced.empty());
  EXPECT_EQ(report.manifests, 1u);
  EXPECT_EQ(report.objects, 1u + 3 * 5);
  EXPECT_EQ(report.prefix_entries, 2u);
  EXPECT_EQ(report.sections_decoded, 3u * 5 * 4);  // chunks, planes and exact, two layers' sides
}

TEST_F(Verify, RandomStoresAreGood) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 8; ++round) {
    write_kv_file(folder_ / "kv.safetensors", random_synthetic(random));
    params_.tenant = "tenant" + std::to_string(round);
    ASSERT_TRUE(pack(params_).ok());
  }
  const VerifyReport report = verify();
  EXPECT_TRUE(report.defects.empty()) << report.defects[0].file << ": " << report.defects[0].what;
  EXPECT_EQ(report.manifests, 9u);
}

TEST_F(Verify, FindsAMissingObject) {
  fs::remove(object_file(1, 2));
  expect_defect(object_file(1, 2), AllOf(HasSubstr("chunk 1 plane 2"), HasSubstr("No such file")));
}

TEST_F(Verify, FindsATruncatedObject) {
  change_file(object_file(0, 1), [](std::string& text) { text.resize(text.size() - 3); });
  expect_defect(object_file(0, 1), AllOf(HasSubstr("bytes"), HasSubstr("the manifest says")));
}

TEST_F(Verify, FindsADamagedSection) {
  change_file(object_file(0, 0), [](std::string& text) { text.back() ^= 1; });
  expect_defect(object_file(0, 0), AllOf(HasSubstr("section"), HasSubstr("xxh3")));
}

TEST_F(Verify, FindsADamagedHeader) {
  change_file(object_file(2, 3), [](std::string& text) { text[24] ^= 16; });
  expect_defect(object_file(2, 3), AllOf(HasSubstr("header"), HasSubstr("byte 56")));
}

TEST_F(Verify, FindsOneObjectInAnothersPlace) {
  write_text(object_file(0, 1), read_text(object_file(1, 1)));
  expect_defect(object_file(0, 1), HasSubstr("SHA-256 is not its name"));
}

TEST_F(Verify, FindsAWrongSizeInTheManifest) {
  change_manifest([](Manifest& manifest) { manifest.chunks[1].planes[0].bytes += 5; });
  expect_defect(object_file(1, 0), HasSubstr("the manifest says"));
}

TEST_F(Verify, FindsChunksThatAreSwapped) {
  change_manifest([](Manifest& manifest) {
    std::swap(manifest.chunks[0].planes[1], manifest.chunks[1].planes[1]);
  });
  expect_defect(object_file(0, 1),
                HasSubstr("byte 24: tokens 16 to 32; the manifest says tokens 0 to 16"));
}

TEST_F(Verify, FindsPlanesThatAreSwapped) {
  change_manifest([](Manifest& manifest) {
    std::swap(manifest.chunks[0].planes[1], manifest.chunks[0].planes[2]);
  });
  expect_defect(object_file(0, 1), HasSubstr("plane 2; the manifest says kind 1, plane 1"));
}

TEST_F(Verify, FindsAnExactObjectInPlaceOfAPlane) {
  change_manifest([](Manifest& manifest) {
    static_cast<manifests::ObjectRef&>(manifest.chunks[0].planes[0]) = *manifest.chunks[0].exact;
  });
  expect_defect(object_file(0, 0), HasSubstr("kind 2, plane 0; the manifest says kind 1"));
}

TEST_F(Verify, FindsAMissingProfile) {
  fs::remove(object_file(packed_.manifest.profile.digest));
  expect_defect(object_file(packed_.manifest.profile.digest), HasSubstr("profile"));
}

TEST_F(Verify, FindsAnotherProfile) {
  PackParams other = params_;
  other.step = 0.3f;
  other.tenant = "other";
  const auto coarser = pack(other);
  ASSERT_TRUE(coarser.ok());
  const auto& profile = coarser->manifest.profile;
  fs::create_directories(fs::path(object_file(profile.digest)).parent_path());
  fs::copy(folder_ / ("store/" + manifests::object_path("other", profile.digest)),
           object_file(profile.digest));
  change_manifest([&](Manifest& manifest) { manifest.profile = profile; });
  expect_defect(object_file(0, 0), AllOf(HasSubstr("byte 64"), HasSubstr(profile.digest.hex())));
}

TEST_F(Verify, FindsASectionThatCannotBeDecoded) {
  const std::string rubbish(64, '\x5A');
  change_object(packed_.manifest.chunks[0].planes[1],
                [&](auto&, auto& sections) { sections[2].bytes = bytes_of(rubbish); });
  expect_defect(object_file(0, 1), AllOf(HasSubstr("section 2 (kind 2, group 1, keys"),
                                         HasSubstr("offset"), HasSubstr("plane 1")));
}

TEST_F(Verify, FindsAnExactSectionThatCannotBeDecoded) {
  const std::string rubbish(64, '\x5A');
  change_object(*packed_.manifest.chunks[2].exact,
                [&](auto&, auto& sections) { sections[3].bytes = bytes_of(rubbish); });
  expect_defect(object_file(packed_.manifest.chunks[2].exact->digest),
                HasSubstr("section 3 (kind 4, group 1, values"));
}

TEST_F(Verify, FindsAMissingSection) {
  change_object(packed_.manifest.chunks[0].planes[0],
                [](auto&, auto& sections) { sections.erase(sections.begin() + 1); });
  expect_defect(object_file(0, 0), AllOf(HasSubstr("section 1"), HasSubstr("expected kind 3")));
}

TEST_F(Verify, FindsTextThatIsNotTheContexts) {
  change_manifest([](Manifest& manifest) { manifest.text->tokens[20] ^= 1; });
  expect_defect(".json", HasSubstr("chunks[1].prefix_hash"));
}

TEST_F(Verify, FindsAWrongSalt) {
  expect_defect(".json", HasSubstr("salt"), "another salt");
}

TEST_F(Verify, FindsWrongRawBytes) {
  change_manifest([](Manifest& manifest) { manifest.raw_bytes += 1; });
  expect_defect(".json", HasSubstr("raw_bytes"));
}

TEST_F(Verify, FindsAManifestThatIsNone) {
  change_file(packed_.manifest_path, [](std::string& text) { text.resize(text.size() / 2); });
  expect_defect(packed_.manifest_path, HasSubstr(""));
}

TEST_F(Verify, FindsAManifestUnderAnotherName) {
  const std::string other = folder_ / "store/t/public/m/other.json";
  fs::rename(packed_.manifest_path, other);
  expect_defect(other, HasSubstr("expected the file's name"));
  expect_defect("/k/", HasSubstr("whose manifest is not there"));
}

TEST_F(Verify, FindsPrefixEntriesThatLie) {
  const auto hashes =
      manifests::prefix_hashes({"", "synthetic-weights", "", {}}, packed_.manifest.text->tokens);
  const std::string first =
      folder_ / ("store/" + manifests::prefix_path("public", "synthetic-weights", hashes[0]));
  const std::string second =
      folder_ / ("store/" + manifests::prefix_path("public", "synthetic-weights", hashes[1]));
  write_text(first, "{}");
  write_text(second, manifests::write_prefix_entry({packed_.manifest.id, 32, 2}));
  expect_defect(first, HasSubstr(""));
  expect_defect(second, HasSubstr("says that chunk 2"));
}

TEST_F(Verify, ListsObjectsThatNoManifestNames) {
  change_manifest([](Manifest& manifest) { manifest.chunks[0].exact.reset(); });
  const VerifyReport report = verify();
  EXPECT_TRUE(report.defects.empty());
  EXPECT_EQ(report.unreferenced.size(), 1u);
}

TEST_F(Verify, AFolderWithoutManifestsIsNoStore) {
  VerifyReport report;
  const auto status = verify_store(folder_ / "nowhere", {}, report);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, manifests::ErrorKind::kCorrupt);
}

TEST_F(Verify, LoneObjectsAreCheckedAsFarAsTheyGo) {
  FolderObjectReader siblings(folder_ / "store/t/public");
  for (const auto& [path, text] : tree(folder_ / "store/t/public/o")) {
    VerifyReport report;
    verify_object(bytes_of(text), "o/" + path, &siblings, report);
    EXPECT_TRUE(report.defects.empty()) << path << ": " << report.defects[0].what;
    std::string damaged = text;
    damaged[damaged.size() / 2] ^= 4;
    verify_object(bytes_of(damaged), "o/" + path, &siblings, report);
    EXPECT_EQ(report.defects.size(), 1u) << path;
  }
}

// Whatever is done to one byte of an object, verifying never crashes and never calls it good.
TEST_F(Verify, NoDamageGoesUnnoticed) {
  std::mt19937 random(3);
  const std::string base = read_text(object_file(0, 0));
  for (int round = 0; round < 300; ++round) {
    std::string damaged = base;
    damaged[random() % damaged.size()] ^= static_cast<char>(1 + random() % 255);
    VerifyReport report;
    verify_object(bytes_of(damaged), object_file(0, 0), nullptr, report);
    EXPECT_FALSE(report.defects.empty()) << round;
  }
}

}  // namespace
}  // namespace kvcast::packager
