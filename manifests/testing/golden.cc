#include "manifests/testing/golden.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "manifests/file.h"

namespace kvcast::manifests {
namespace {

constexpr uint64_t kMaxBytes = 1u << 20;

std::string path_of(const std::string& name) {
  return std::string(KVCAST_SOURCE_DIR) + "/tests/golden/" + name;
}

std::vector<std::byte> content(const std::string& path) {
  const auto bytes = read_file(path, kMaxBytes);
  EXPECT_TRUE(bytes.ok()) << (bytes.ok() ? "" : bytes.error().message);
  return bytes.ok() ? *bytes : std::vector<std::byte>();
}

}  // namespace

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::byte> golden(const std::string& name) {
  return content(path_of(name));
}

void expect_golden(const std::string& name, std::span<const std::byte> bytes) {
  if (std::getenv("KVCAST_WRITE_GOLDEN") != nullptr) {
    const Status written = write_file_atomically(path_of(name), bytes);
    ASSERT_TRUE(written.ok()) << written.error().message;
  }
  EXPECT_EQ(as_text(golden(name)), as_text(bytes)) << name;
}

std::string page_example(const std::string& page, const std::string& name) {
  const std::string text = as_text(content(std::string(KVCAST_SOURCE_DIR) + "/manifests/" + page));
  const std::string opening = "<!-- example " + name + " -->\n";
  const size_t begin = text.find(opening);
  const size_t end = begin == text.npos ? text.npos : text.find("<!-- end -->", begin);
  EXPECT_NE(end, text.npos) << "no example " << name << " in " << page;
  if (end == text.npos) return {};
  std::istringstream lines(text.substr(begin + opening.size(), end - begin - opening.size()));
  std::string example;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("```")) example += line + "\n";
  }
  return example;
}

std::vector<std::byte> bytes_of_dump(const std::string& dump) {
  std::vector<std::byte> bytes;
  std::istringstream lines(dump);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('|')));
    std::string word;
    words >> word;  // the offset
    while (words >> word) bytes.push_back(static_cast<std::byte>(std::stoi(word, nullptr, 16)));
  }
  return bytes;
}

}  // namespace kvcast::manifests
