#include "origin/testing/folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <random>
#include <stdexcept>

namespace kvcast::origin::testing {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "kvcast-origin-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder: " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TemporaryFolder::write(const std::string& name, std::string_view content) const {
  const fs::path path = path_ / name;
  fs::create_directories(path.parent_path());
  const fs::path temporary = path.parent_path() / ".tmp-test";
  std::ofstream(temporary, std::ios::binary) << content;
  fs::rename(temporary, path);
  return path.string();
}

void TemporaryFolder::set_modified(const std::string& name, int64_t unix_s) const {
  const timespec times[2] = {{unix_s, 0}, {unix_s, 0}};
  if (::utimensat(AT_FDCWD, (path_ / name).c_str(), times, 0) != 0)
    throw std::runtime_error("cannot set times");
}

std::string noise(size_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

}  // namespace kvcast::origin::testing
