#include "kernels/bytes/golden.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace kvcast::kernels {
namespace {

const std::string kSource = std::string(KVCAST_SOURCE_DIR) + "/";

}  // namespace

std::vector<std::vector<std::byte>> worked_example(const std::string& page) {
  std::ifstream file(kSource + page);
  std::vector<std::vector<std::byte>> tables;
  bool in_example = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) in_example = line.find("Worked example") != std::string::npos;
    if (in_example && line.starts_with("| bytes")) tables.emplace_back();
    if (!in_example || !line.starts_with("| `")) continue;
    std::istringstream hexadecimal(line.substr(3, line.find('`', 3) - 3));
    for (uint32_t byte; hexadecimal >> std::hex >> byte;) {
      tables.back().push_back(static_cast<std::byte>(byte));
    }
  }
  return tables;
}

std::vector<std::byte> golden(const std::string& name, std::span<const std::byte> fresh) {
  const std::string path = kSource + "tests/golden/" + name;
  if (std::getenv("KVCAST_WRITE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(fresh.data()),
               static_cast<std::streamsize>(fresh.size()));
  }
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace kvcast::kernels
