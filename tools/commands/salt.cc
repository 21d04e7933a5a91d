#include "tools/commands/salt.h"

#include <fmt/format.h>

#include <cstdlib>

#include "manifests/file.h"

namespace kvcast::tools {
namespace {

constexpr uint64_t kMaxSaltBytes = 4096;

}  // namespace

manifests::Result<std::string> read_salt(const std::string& path) {
  if (path.empty()) {
    const char* salt = std::getenv("KVCAST_SALT");
    return std::string(salt ? salt : "");
  }
  const auto bytes = manifests::read_file(path, kMaxSaltBytes);
  if (!bytes.ok()) return bytes.error();
  std::string salt(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  while (!salt.empty() && (salt.back() == '\n' || salt.back() == '\r')) salt.pop_back();
  if (salt.empty()) {
    return manifests::Error{manifests::ErrorKind::kUsage, fmt::format("{}: no salt in it", path)};
  }
  return salt;
}

}  // namespace kvcast::tools
