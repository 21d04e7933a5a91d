#include "manifests/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <thread>

#include "manifests/bytes/little_endian.h"
#include "manifests/file.h"
#include "manifests/safetensors_writer.h"
#include "manifests/testing/golden.h"
#include "manifests/testing/temp_folder.h"

namespace kvcast::manifests {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::vector<std::byte> file_of(std::string_view header, size_t data_bytes) {
  std::vector<std::byte> bytes(8 + header.size() + data_bytes);
  store_le(std::span(bytes), 0, uint64_t{header.size()});
  std::ranges::copy(as_bytes(header), bytes.begin() + 8);
  return bytes;
}

std::string message_of(std::string_view header, size_t data_bytes) {
  const auto bytes = file_of(header, data_bytes);
  const auto parsed = parse_safetensors(bytes, bytes.size(), "f");
  if (parsed.ok()) return "no error";
  EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt);
  return parsed.error().message;
}

std::vector<std::byte> random_bytes(std::mt19937& random, size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

TEST(Safetensors, WrittenFilesReadBack) {
  const TempFolder folder;
  std::mt19937 random(9);
  const auto key = random_bytes(random, 2 * 3 * 4 * 2), bias = random_bytes(random, 12);
  const std::map<std::string, std::string> metadata = {{"model", "x \"y\" \xc3\xa9"}, {"n", ""}};
  const std::vector<TensorToWrite> tensors = {
      {"key", "BF16", {2, 3, 4}, key}, {"empty", "F32", {0, 5}, {}}, {"bias", "F32", {3}, bias}};
  ASSERT_TRUE(write_safetensors(folder / "a/f", metadata, tensors).ok());

  const auto file = SafetensorsFile::open(folder / "a/f");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->header().metadata, metadata);
  EXPECT_EQ(file->header().tensors.size(), 3u);
  EXPECT_EQ(file->header().file_bytes, fs::file_size(folder / "a/f"));
  for (const TensorToWrite& tensor : tensors) {
    const auto info = file->tensor(tensor.name);
    ASSERT_TRUE(info.ok()) << info.error().message;
    EXPECT_EQ(info->dtype, tensor.dtype);
    EXPECT_EQ(info->shape, tensor.shape);
    std::vector<std::byte> read(info->bytes);
    ASSERT_TRUE(file->read(*info, 0, read).ok());
    EXPECT_TRUE(std::ranges::equal(read, tensor.bytes));
  }
  EXPECT_EQ(file->tensor("key")->offset % 8, 0u);
  std::vector<std::byte> part(5);
  ASSERT_TRUE(file->read(*file->tensor("key"), 7, part).ok());
  EXPECT_TRUE(std::ranges::equal(part, std::span(key).subspan(7, 5)));
  EXPECT_FALSE(file->read(*file->tensor("key"), 44, part).ok());
  EXPECT_FALSE(file->read(*file->tensor("key"), UINT64_MAX, part).ok());
}

TEST(Safetensors, AMissingTensorNamesItsNeighbours) {
  const TempFolder folder;
  const std::vector<TensorToWrite> tensors = {
      {"a", "U8", {0}, {}}, {"layers.0.key", "U8", {0}, {}}, {"z", "U8", {0}, {}}};
  ASSERT_TRUE(write_safetensors(folder / "f", {}, tensors).ok());
  const auto missing = SafetensorsFile::open(folder / "f")->tensor("layers.0.keys");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message,
            (folder / "f") +
                ": no tensor layers.0.keys; of its 3 tensors these sort beside it: a, "
                "layers.0.key, z");
}

TEST(Safetensors, BadHeadersAreRefused) {
  const std::string good = R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(message_of(good, 8), "no error");
  EXPECT_EQ(message_of(good + "   ", 8), "no error");  // padding
  EXPECT_THAT(message_of(good, 7), HasSubstr("f: header: t.data_offsets[1]: found 8"));
  EXPECT_THAT(message_of(R"({"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
              HasSubstr("t.data_offsets: 8 bytes, but type and shape make 12"));
  EXPECT_THAT(message_of(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8),
              HasSubstr("t.data_offsets[0]: found 8"));
  EXPECT_THAT(message_of(R"({"t":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}})", 8),
              HasSubstr("t: element type Q4 is unknown"));
  EXPECT_THAT(message_of(R"({"t":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],)"
                         R"("data_offsets":[0,8]}})",
                         8),
              HasSubstr("the shape is too large"));
  EXPECT_THAT(message_of(R"({"t":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8),
              HasSubstr("t.shape[0]: found -2"));
  EXPECT_THAT(message_of(R"({"t":{"shape":[2],"data_offsets":[0,8]}})", 8),
              HasSubstr("t.dtype: missing"));
  EXPECT_THAT(message_of(R"({"t":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},)"
                         R"("u":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                         8),
              HasSubstr("tensors t and u overlap"));
  EXPECT_THAT(message_of(R"({"t":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},)"
                         R"("t":{"dtype":"U8","shape":[3],"data_offsets":[5,8]}})",
                         8),
              HasSubstr("key \"t\" twice"));
  EXPECT_THAT(message_of(R"({"__metadata__":{"a":1}})", 0), HasSubstr("__metadata__.a: found 1"));
  EXPECT_THAT(message_of(R"({"__metadata__":[]})", 0), HasSubstr("__metadata__: found []"));
  EXPECT_THAT(message_of("[]", 0), HasSubstr("expected an object"));
  EXPECT_THAT(message_of("{", 0), HasSubstr("not JSON"));
}

TEST(Safetensors, BadLengthsAreRefused) {
  const auto message = [](uint64_t header_bytes, size_t size) {
    std::vector<std::byte> head(size);
    if (size >= 8) store_le(std::span(head), 0, header_bytes);
    const auto parsed = parse_safetensors(head, size, "f");
    return parsed.ok() ? "no error" : parsed.error().message;
  };
  for (size_t size = 0; size < 8; ++size) EXPECT_THAT(message(0, size), HasSubstr("too short"));
  EXPECT_THAT(message(3, 10), HasSubstr("header of 3 bytes runs past byte 10"));
  EXPECT_THAT(message(100'000'001, 10), HasSubstr("more than the limit of 100000000"));
  EXPECT_THAT(message(UINT64_MAX, 10), HasSubstr("more than the limit"));

  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "f", as_bytes("short")).ok());
  EXPECT_FALSE(SafetensorsFile::open(folder / "f").ok());
  EXPECT_EQ(SafetensorsFile::open(folder / "none").error().kind, ErrorKind::kIo);
  EXPECT_FALSE(SafetensorsFile::open(folder.path().string()).ok());
}

TEST(Safetensors, DamagedHeadersNeverEscape) {
  std::mt19937 random(10);
  const std::string good = R"({"__metadata__":{"a":"b"},"t":{"dtype":"F32","shape":[2,1],)"
                           R"("data_offsets":[0,8]},"u":{"dtype":"U8","shape":[1],)"
                           R"("data_offsets":[8,9]}})";
  for (int round = 0; round < 5000; ++round) {
    auto bytes = file_of(good, 9);
    for (auto flips = 1 + random() % 3; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const auto parsed = parse_safetensors(bytes, bytes.size(), "f");
    if (!parsed.ok()) continue;
    for (const auto& [name, tensor] : parsed->tensors) {
      EXPECT_LE(tensor.offset, bytes.size());
      EXPECT_LE(tensor.bytes, bytes.size() - tensor.offset);
    }
  }
}

TEST(SafetensorsWriter, PiecesFromManyThreadsMakeTheFile) {
  const TempFolder folder;
  std::mt19937 random(11);
  constexpr size_t kBytes = 40'000;
  const std::vector<std::vector<std::byte>> contents = {random_bytes(random, kBytes),
                                                        random_bytes(random, kBytes)};
  const std::vector<TensorPlan> plans = {{"a", "U8", {kBytes}}, {"b", "F16", {kBytes / 2}}};
  auto writer = SafetensorsWriter::create(folder / "f", {{"k", "v"}}, plans);
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  EXPECT_EQ(writer->tensors(), 2u);
  EXPECT_EQ(writer->bytes(1), kBytes);
  EXPECT_FALSE(fs::exists(folder / "f"));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t at = t * 1000; at < kBytes; at += 4000) {
        for (size_t tensor = 0; tensor < 2; ++tensor) {
          EXPECT_TRUE(
              writer->write(tensor, at, std::span(contents[tensor]).subspan(at, 1000)).ok());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(writer->commit().ok());

  const std::vector<TensorToWrite> whole = {{"a", "U8", {kBytes}, contents[0]},
                                            {"b", "F16", {kBytes / 2}, contents[1]}};
  ASSERT_TRUE(write_safetensors(folder / "g", {{"k", "v"}}, whole).ok());
  EXPECT_EQ(*read_file(folder / "f", 1 << 20), *read_file(folder / "g", 1 << 20));
}

TEST(SafetensorsWriter, NothingStaysWithoutACommit) {
  const TempFolder folder;
  const std::vector<TensorPlan> plans = {{"a", "U8", {10}}};
  {
    auto writer = SafetensorsWriter::create(folder / "f", {}, plans);
    ASSERT_TRUE(writer.ok());
    EXPECT_FALSE(writer->write(0, 5, as_bytes("sixsix")).ok());
    EXPECT_FALSE(writer->write(0, UINT64_MAX, as_bytes("x")).ok());
    EXPECT_FALSE(fs::is_empty(folder.path()));
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
  auto writer = SafetensorsWriter::create(folder / "f", {}, plans);
  ASSERT_TRUE(writer->write(0, 8, as_bytes("x")).ok());
  ASSERT_TRUE(writer->commit().ok());
  const auto file = SafetensorsFile::open(folder / "f");
  std::vector<std::byte> read(10);
  ASSERT_TRUE(file->read(*file->tensor("a"), 0, read).ok());
  EXPECT_EQ(as_text(read), std::string(8, '\0') + "x" + '\0');  // never written: zeros
}

TEST(SafetensorsWriter, RefusesWhatNoReaderTakes) {
  const TempFolder folder;
  const auto message = [&](const std::map<std::string, std::string>& metadata,
                           std::vector<TensorPlan> plans) {
    const auto writer = SafetensorsWriter::create(folder / "f", metadata, plans);
    return writer.ok() ? "no error" : writer.error().message;
  };
  EXPECT_THAT(message({{"k", "\xff"}}, {}), HasSubstr("metadata k: not UTF-8"));
  EXPECT_THAT(message({}, {{"a\xff", "U8", {1}}}), HasSubstr("tensor a?: the name is not UTF-8"));
  EXPECT_THAT(message({}, {{"a", "U8", {1}}, {"a", "U8", {1}}}), HasSubstr("the name is taken"));
  EXPECT_THAT(message({}, {{"__metadata__", "U8", {1}}}), HasSubstr("the name is taken"));
  EXPECT_THAT(message({}, {{"a", "X", {1}}}), HasSubstr("tensor a: unknown element type"));
  EXPECT_THAT(message({}, {{"a", "U8", {UINT64_MAX}}}), HasSubstr("too large a shape"));
  const std::vector<TensorToWrite> short_one = {{"a", "U8", {4}, as_bytes("abc")}};
  EXPECT_THAT(write_safetensors(folder / "f", {}, short_one).error().message,
              HasSubstr("tensor a: 3 bytes given"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace kvcast::manifests
