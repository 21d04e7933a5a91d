#include "packager/testing/folder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace kvcast::packager {

namespace fs = std::filesystem;

namespace {

// In memory where that exists: thousands of syncs would test the disk, not us.
fs::path parent_folder() {
  const fs::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path();
}

}  // namespace

TestFolder::TestFolder() : path_((parent_folder() / "kvcast-test-XXXXXX").string()) {
  if (!::mkdtemp(path_.data())) throw std::runtime_error("mkdtemp " + path_);
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

namespace {

template <typename Describe>
std::map<std::string, std::string> walk(const std::string& root, Describe describe) {
  std::map<std::string, std::string> found;
  if (!fs::exists(root)) return found;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    found[fs::relative(entry.path(), root).string()] = describe(entry.path().string());
  }
  return found;
}

}  // namespace

std::map<std::string, std::string> tree(const std::string& root) {
  return walk(root, read_text);
}

std::map<std::string, std::string> stamps(const std::string& root) {
  return walk(root, [](const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) throw std::runtime_error("stat " + path);
    return fmt::format("{} {} {}", info.st_ino, info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
  });
}

}  // namespace kvcast::packager
