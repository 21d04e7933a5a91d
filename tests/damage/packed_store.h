// A small store in memory with every kind of file, and what it decodes to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernels/profile.h"
#include "manifests/manifest.h"
#include "packager/verify.h"

namespace kvcast::damage {

using Bytes = std::vector<std::byte>;

struct StoreShape {
  uint32_t tokens = 40, chunk_tokens = 16, layers = 2, heads = 2, dim = 8;
};

// Packed by the packager, from noise; the text is moved into a text object. Paths are relative to
// the tenant's root: m/..., o/..., k/....
struct PackedStore {
  explicit PackedStore(const StoreShape& shape = {});  // throws std::runtime_error

  std::map<std::string, Bytes> files;
  manifests::Manifest manifest;
  std::string manifest_path;
  Bytes kv_file;

  std::string path_of(const manifests::ObjectRef& object) const;
  const Bytes& at(const manifests::ObjectRef& object) const { return files.at(path_of(object)); }
};

// Reads from a store's files.
class MemoryObjects final : public packager::ObjectReader {
 public:
  explicit MemoryObjects(const std::map<std::string, Bytes>& files) : files_(files) {}
  manifests::Result<Bytes> read(const manifests::ObjectRef& object) override;
  std::string name(const manifests::Digest& digest) const override;

 private:
  const std::map<std::string, Bytes>& files_;
};

// The defects of the manifest and all it names.
packager::VerifyReport verify(const std::map<std::string, Bytes>& files,
                              const std::string& manifest_path);

// Whether the rounds of this run are to be all of them: KVCAST_FULL=1 in the environment.
bool is_full_run();

}  // namespace kvcast::damage
