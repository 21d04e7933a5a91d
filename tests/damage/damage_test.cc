// Every truncation and every change of a byte, of every kind of file that is stored: found, or
// provably harmless. As it happens by accident, and as a hostile writer would do it, who makes all
// hashes fit: then a fault or some values, but no crash, no hang, and no memory that the file's
// size does not justify. Run under AddressSanitizer too.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <random>

#include "kernels/exact.h"
#include "kernels/plane.h"
#include "manifests/digest.h"
#include "manifests/object.h"
#include "manifests/prefix_hash.h"
#include "manifests/text.h"
#include "packager/profile_object.h"
#include "tests/damage/packed_store.h"

namespace kvcast::damage {
namespace {

using manifests::ObjectKind;

const PackedStore& small_store() {
  static const PackedStore kStore;
  return kStore;
}

std::string_view as_text(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What a byte may become: every other value in a full run, else each bit flipped, and its extremes.
std::vector<std::byte> changes_of(std::byte byte) {
  std::vector<std::byte> values;
  for (uint32_t value = 0; value < 256; ++value) {
    const uint32_t flips = value ^ std::to_integer<uint32_t>(byte);
    const bool one_bit = (flips & (flips - 1)) == 0;
    if (flips != 0 && (is_full_run() || one_bit || value == 0 || value == 255)) {
      values.push_back(static_cast<std::byte>(value));
    }
  }
  return values;
}

// Calls `judge` with every change of a byte in [begin, end), and returns how many there were.
template <typename Judge>
size_t for_each_change(const Bytes& good, size_t begin, size_t end, Judge judge) {
  size_t count = 0;
  Bytes bytes = good;
  for (size_t at = begin; at < end; ++at) {
    for (const std::byte value : changes_of(good[at])) {
      bytes[at] = value;
      judge(bytes, at);
      ++count;
    }
    bytes[at] = good[at];
  }
  return count;
}

// Memory that may be asked for, beyond what the process has: 512 MiB.
class MemoryLimit {
 public:
  MemoryLimit() {
    std::ifstream statm("/proc/self/statm");
    uint64_t pages = 0;
    statm >> pages;
    ::getrlimit(RLIMIT_AS, &before_);
    const rlimit limit{pages * 4096 + (512u << 20), before_.rlim_max};
    ::setrlimit(RLIMIT_AS, &limit);
  }
  ~MemoryLimit() { ::setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

// An object that names its parts right, whatever they hold.
Bytes with_section(const manifests::ObjectView& view, size_t index, const Bytes& section) {
  std::vector<manifests::ObjectSection> sections = view.sections;
  sections[index].bytes = section;
  return manifests::write_object(view.header, sections);
}

TEST(Damage, TheStoreIsGoodToBeginWith) {
  const auto report = verify(small_store().files, small_store().manifest_path);
  EXPECT_TRUE(report.defects.empty()) << report.defects[0].file << ": " << report.defects[0].what;
  EXPECT_EQ(small_store().files.size(), 3u * 5 + 2 + 1 + 2);  // objects, profile and text, manifest
}

// By the container alone: the digest that names an object comes on top.
TEST(Damage, EveryTruncationOfAnObjectIsFound) {
  for (const auto& [path, good] : small_store().files) {
    if (!path.starts_with("o/")) continue;
    for (size_t size = 0; size < good.size(); ++size) {
      const Bytes cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
      ASSERT_FALSE(manifests::read_object(cut, path).ok()) << path << " " << size;
    }
  }
}

TEST(Damage, EveryChangedByteOfAnObjectIsFound) {
  size_t count = 0;
  for (const auto& [path, good] : small_store().files) {
    if (!path.starts_with("o/")) continue;
    count += for_each_change(good, 0, good.size(), [&](const Bytes& bytes, size_t at) {
      const auto view = manifests::read_object(bytes, path);
      ASSERT_FALSE(view.ok()) << path << " " << at;
      ASSERT_EQ(view.error().message.find('\n'), std::string::npos);
    });
  }
  RecordProperty("changes", std::to_string(count));
}

TEST(Damage, EveryTruncationAndChangeOfAManifestIsFoundOrHarmless) {
  const Bytes& good = small_store().files.at(small_store().manifest_path);
  for (size_t size = 0; size < good.size(); ++size) {
    const auto cut = manifests::read_manifest(as_text(good).substr(0, size), "m");
    ASSERT_TRUE(!cut.ok() || *cut == small_store().manifest) << size;
  }
  const size_t count = for_each_change(good, 0, good.size(), [&](const Bytes& bytes, size_t at) {
    const auto read = manifests::read_manifest(as_text(bytes), "m");
    ASSERT_TRUE(!read.ok() || *read == small_store().manifest) << at;
  });
  RecordProperty("changes", std::to_string(count));
}

// An entry has no checksum: what can be read is either the same, or shows against its own name, the
// hash of the tokens, and the manifest it names.
TEST(Damage, EveryTruncationAndChangeOfAPrefixEntryIsFoundOrHarmless) {
  size_t entries = 0;
  for (const auto& [path, good] : small_store().files) {
    if (!path.starts_with("k/")) continue;
    const auto expected = manifests::read_prefix_entry(as_text(good), path);
    ASSERT_TRUE(expected.ok());
    ++entries;
    const auto judge = [&](std::string_view json) {
      const auto read = manifests::read_prefix_entry(json, path);
      if (!read.ok() || *read == *expected) return;
      const bool other_tokens = read->tokens != expected->tokens;
      const bool other_chunk = read->chunk != expected->chunk;
      const bool absent = !small_store().files.contains("m/" + read->presentation + ".json");
      EXPECT_TRUE(other_tokens || other_chunk || absent) << json;
    };
    for (size_t size = 0; size < good.size(); ++size) judge(as_text(good).substr(0, size));
    for_each_change(good, 0, good.size(),
                    [&](const Bytes& bytes, size_t) { judge(as_text(bytes)); });
  }
  EXPECT_EQ(entries, 2u);
}

// A hostile writer's header: every field changed, its hash made to fit.
TEST(Damage, AForgedHeadIsAFaultOrIsSeenAgainstTheManifest) {
  const MemoryLimit limit;
  constexpr size_t kHashOffset = 56;
  for (const auto& [path, good] : small_store().files) {
    if (!path.starts_with("o/")) continue;
    const auto original = manifests::read_object(good, path);
    const size_t head =
        manifests::kObjectHeaderBytes + original->sections.size() * manifests::kSectionEntryBytes;
    for_each_change(good, 0, head, [&](const Bytes& changed, size_t at) {
      Bytes bytes = changed;
      std::fill_n(bytes.begin() + kHashOffset, 8, std::byte{0});
      const uint64_t hash = manifests::xxh3(std::span(bytes).first(head));
      for (size_t i = 0; i < 8; ++i) bytes[kHashOffset + i] = static_cast<std::byte>(hash >> 8 * i);
      const auto view = manifests::read_object(bytes, path);
      if (!view.ok()) return;
      packager::VerifyReport report;
      MemoryObjects siblings(small_store().files);
      packager::verify_object(bytes, path, &siblings, report);
      EXPECT_FALSE(report.defects.empty() && at != kHashOffset && bytes != good)
          << path << " " << at;
    });
  }
}

class Forged : public testing::Test {
 protected:
  Forged() : profile_(*packager::read_profile_object(store_.at(store_.manifest.profile), "p")) {}

  manifests::ObjectView view_of(const manifests::ObjectRef& ref) const {
    return *manifests::read_object(store_.at(ref), "object");
  }
  static Bytes copy(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

  kernels::TokenRange tokens_of(size_t chunk) const {
    const auto& entry = store_.manifest.chunks[chunk];
    return {entry.token_begin, static_cast<uint32_t>(entry.token_end - entry.token_begin)};
  }

  // Group 0's keys of a chunk: the base, the planes after it, and the sinks.
  std::vector<Bytes> sections(size_t chunk) const {
    std::vector<Bytes> found;
    for (const auto& plane : store_.manifest.chunks[chunk].planes) {
      found.push_back(copy(view_of(plane).sections[0].bytes));
    }
    const auto base = view_of(store_.manifest.chunks[chunk].planes[0]);
    found.push_back(chunk == 0 ? copy(base.sections[1].bytes) : Bytes{});
    return found;
  }

  // Ok or a fault; what is written stays inside.
  bool decodes(const kernels::Profile& profile, size_t chunk,
               const std::vector<Bytes>& parts) const {
    const kernels::Codec codec(profile);
    const kernels::TokenRange tokens = tokens_of(chunk);
    const size_t row = profile.geometry.channels(kernels::Side::kKey) * 2;
    std::vector<Bytes> out(profile.groups[0].layers, Bytes(tokens.count * row));
    std::vector<kernels::MutableTensorView> views;
    for (Bytes& layer : out) views.push_back({layer.data(), row});
    std::vector<std::span<const std::byte>> planes(parts.begin(), parts.end() - 1);
    planes.resize(std::min<size_t>(planes.size(), profile.levels));
    return kernels::decode_section(codec, 0, kernels::Side::kKey, tokens, kernels::DType::kBf16,
                                   planes, parts.back(), views)
        .ok();
  }

  const PackedStore& store_ = small_store();
  const kernels::Profile profile_;
  const MemoryLimit limit_;
};

TEST_F(Forged, PlaneAndSinkSections) {
  for (const size_t chunk : {size_t{0}, size_t{2}}) {
    const std::vector<Bytes> good = sections(chunk);
    ASSERT_TRUE(decodes(profile_, chunk, good));
    size_t faults = 0, count = 0;
    for (size_t part = 0; part < good.size(); ++part) {
      std::vector<Bytes> parts = good;
      count += for_each_change(good[part], 0, good[part].size(), [&](const Bytes& bytes, size_t) {
        parts[part] = bytes;
        faults += !decodes(profile_, chunk, parts);
      });
      for (size_t size = 0; size < good[part].size(); ++size) {
        parts[part].assign(good[part].begin(), good[part].begin() + static_cast<ptrdiff_t>(size));
        EXPECT_FALSE(decodes(profile_, chunk, parts)) << part << " " << size;
      }
    }
    EXPECT_GT(faults, count / 2);
  }
}

TEST_F(Forged, ExactSections) {
  const auto view = view_of(*store_.manifest.chunks[0].exact);
  const kernels::TokenRange tokens = tokens_of(0);
  const uint32_t channels = profile_.geometry.channels(kernels::Side::kKey);
  Bytes out(tokens.count * channels * 2);
  const auto decode = [&](std::span<const std::byte> section) {
    return kernels::decode_exact(kernels::DType::kBf16, tokens.count, channels, section,
                                 {out.data(), channels * 2});
  };
  const Bytes good = copy(view.sections[0].bytes);
  ASSERT_TRUE(decode(good).ok());
  for_each_change(good, 0, good.size(),
                  [&](const Bytes& bytes, size_t) { (void)decode(bytes).ok(); });
  for (size_t size = 0; size < good.size(); ++size) {
    const Bytes cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_FALSE(decode(cut).ok()) << size;
  }
}

// What of a changed profile can be read is used: it decodes the chunk, or finds a fault in it.
TEST_F(Forged, Profiles) {
  const auto view = view_of(store_.manifest.profile);
  const std::vector<Bytes> parts = sections(0);
  size_t usable = 0;
  for (size_t index = 0; index < view.sections.size(); ++index) {
    const Bytes good = copy(view.sections[index].bytes);
    for_each_change(good, 0, good.size(), [&](const Bytes& bytes, size_t at) {
      const auto profile = packager::read_profile_object(with_section(view, index, bytes), "p");
      if (!profile.ok() || profile->geometry != profile_.geometry) return;
      if (at % (is_full_run() ? 1 : 8) == 0) (void)decodes(*profile, 0, parts);
      ++usable;
    });
    for (size_t size = 0; size < good.size(); ++size) {
      const Bytes cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_FALSE(packager::read_profile_object(with_section(view, index, cut), "p").ok());
    }
  }
  EXPECT_GT(usable, 0u);
}

// Any of 10,000 in a full run, on a store of some hundred kilobytes: as `kvcast verify` does it.
TEST(Damage, RandomDamageToALargerStoreIsFound) {
  const PackedStore store({300, 64, 4, 2, 32});
  ASSERT_TRUE(verify(store.files, store.manifest_path).defects.empty());
  std::mt19937 random(5);
  std::vector<std::string> paths;
  for (const auto& [path, bytes] : store.files) {
    if (!path.starts_with("k/")) paths.push_back(path);
  }
  for (int round = 0; round < (is_full_run() ? 10'000 : 150); ++round) {
    auto files = store.files;
    const std::string& path = paths[random() % paths.size()];
    Bytes& bytes = files[path];
    const size_t at = random() % bytes.size();
    if (random() % 4 == 0) {
      bytes.resize(at);
    } else {
      bytes[at] ^= static_cast<std::byte>(1 + random() % 255);
    }
    const auto report = verify(files, store.manifest_path);
    const bool harmless = path == store.manifest_path &&
                          manifests::read_manifest(as_text(bytes), "m").ok();  // as tested above
    if (harmless) continue;
    ASSERT_FALSE(report.defects.empty()) << path << " " << at;
    EXPECT_EQ(report.defects[0].file, path);
    EXPECT_EQ(report.defects[0].what.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace kvcast::damage
