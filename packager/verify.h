// Is what is stored whole and readable? Everything a player would rely on is checked: digests,
// containers, headers against the manifest, every section decoded with the profile, prefix hashes
// against the text. Defects are collected, not stopped at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/manifest.h"
#include "manifests/object.h"
#include "manifests/result.h"

namespace kvcast::packager {

// Where objects come from: a tenant's folder, or the network. One thread at a time.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  virtual manifests::Result<std::vector<std::byte>> read(const manifests::ObjectRef& object) = 0;
  // For messages: a path or URL.
  virtual std::string name(const manifests::Digest& digest) const = 0;
};

class FolderObjectReader final : public ObjectReader {
 public:
  explicit FolderObjectReader(std::string tenant_root) : root_(std::move(tenant_root)) {}
  manifests::Result<std::vector<std::byte>> read(const manifests::ObjectRef& object) override;
  std::string name(const manifests::Digest& digest) const override;

 private:
  std::string root_;
};

struct Defect {
  std::string file;
  std::string what;  // one line: where in the file, what was found, what was expected
};

struct VerifyReport {
  uint64_t manifests = 0, objects = 0, object_bytes = 0, sections_decoded = 0, prefix_entries = 0;
  uint64_t kv_files = 0, moment_files = 0;
  std::vector<Defect> defects;
  std::vector<std::string> unreferenced;  // files of objects that no manifest of the tenant names
};

struct VerifyParams {
  std::string salt;  // of the prefix hashes
};

// A manifest and all it names. `name` is its path or URL.
void verify_manifest(std::string_view json, const std::string& name, ObjectReader& objects,
                     const VerifyParams& params, VerifyReport& report);

// A lone object: its name where that is a digest, its container, and its sections as far as they
// can be decoded without other planes. `siblings`: where its profile may be; may be null.
void verify_object(std::span<const std::byte> bytes, const std::string& name,
                   ObjectReader* siblings, VerifyReport& report);

// A lone prefix entry: whether it can be read.
void verify_prefix_entry(std::string_view json, const std::string& name, VerifyReport& report);

// A KV cache before it is packed: header, shapes, metadata. Or moments, by their tensors' names: all
// values too.
void verify_kv_file(const std::string& path, VerifyReport& report);

// All tenants below a store's root, or one tenant's root: manifests, their objects, prefix entries.
// Error: the folder holds no manifest.
manifests::Status verify_store(const std::string& root, const VerifyParams& params,
                               VerifyReport& report);

}  // namespace kvcast::packager
