#include "tests/damage/packed_store.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "kernels/dtype.h"
#include "manifests/file.h"
#include "manifests/kv_file.h"
#include "manifests/layout.h"
#include "manifests/safetensors.h"
#include "manifests/text.h"
#include "packager/packager.h"

namespace kvcast::damage {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxBytes = 1u << 30;

template <typename T>
T must(manifests::Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

void must(const manifests::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error().message);
}

struct TemporaryFolder {
  std::string path = (fs::temp_directory_path() / "kvcast-damage-XXXXXX").string();
  TemporaryFolder() {
    if (!::mkdtemp(path.data())) throw std::runtime_error("no temporary folder");
  }
  ~TemporaryFolder() { fs::remove_all(path); }
};

void write_kv_file(const std::string& path, const StoreShape& shape) {
  manifests::KvFileInfo info;
  info.model.name = "noise";
  info.model.weights = "noise-weights";
  info.ropes = {{"half_split", 10000, shape.dim}};
  info.tokens = shape.tokens;
  for (uint32_t i = 0; i < shape.tokens; ++i) info.token_ids.push_back(7 * i % 1000);
  info.text = "some text";
  std::mt19937 random(1);
  std::normal_distribution<float> noise;
  std::vector<Bytes> tensors;
  std::vector<manifests::TensorToWrite> list;
  const uint32_t channels = shape.heads * shape.dim;
  tensors.reserve(2 * size_t{shape.layers});
  for (uint32_t i = 0; i < 2 * shape.layers; ++i) {
    std::vector<float> mean(channels), values;
    for (float& m : mean) m = 2 * noise(random);
    for (uint32_t j = 0; j < shape.tokens * channels; ++j) {
      values.push_back(mean[j % channels] + noise(random));
    }
    tensors.emplace_back(2 * values.size());
    kernels::store_f32(kernels::DType::kBf16, values, tensors.back().data());
    const std::string name =
        i % 2 == 0 ? manifests::key_tensor_name(i / 2) : manifests::value_tensor_name(i / 2);
    list.push_back({name, "BF16", {shape.tokens, shape.heads, shape.dim}, tensors.back()});
  }
  must(manifests::write_safetensors(path, manifests::kv_file_metadata(info), list));
}

Bytes bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

PackedStore::PackedStore(const StoreShape& shape) {
  const TemporaryFolder folder;
  packager::PackParams params;
  params.input = folder.path + "/kv.safetensors";
  params.out = folder.path + "/store";
  params.chunk_tokens = shape.chunk_tokens;
  params.exact = true;
  params.threads = 1;
  params.created = "2026-01-31T12:00:00Z";
  write_kv_file(params.input, shape);
  kv_file = must(manifests::read_file(params.input, kMaxBytes));
  manifest = must(packager::pack(params)).manifest;
  const fs::path root = fs::path(params.out) / manifests::tenant_root(params.tenant);
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    files[fs::relative(entry.path(), root).string()] =
        must(manifests::read_file(entry.path().string(), kMaxBytes));
  }
  const Bytes text = manifests::write_text_object({manifest.text->tokens, manifest.text->utf8});
  manifest.text = manifests::Text{};
  manifest.text->object = {manifests::sha256(text), text.size()};
  files[path_of(*manifest.text->object)] = text;
  manifest_path = "m/" + manifest.id + ".json";
  files[manifest_path] = bytes_of(manifests::write_manifest(manifest));
}

std::string PackedStore::path_of(const manifests::ObjectRef& object) const {
  return manifests::object_path_in_tenant(object.digest);
}

manifests::Result<Bytes> MemoryObjects::read(const manifests::ObjectRef& object) {
  const auto found = files_.find(name(object.digest));
  if (found != files_.end()) return found->second;
  return manifests::io_error(name(object.digest), "open", ENOENT);
}

std::string MemoryObjects::name(const manifests::Digest& digest) const {
  return manifests::object_path_in_tenant(digest);
}

packager::VerifyReport verify(const std::map<std::string, Bytes>& files,
                              const std::string& manifest_path) {
  MemoryObjects objects(files);
  packager::VerifyReport report;
  const Bytes& json = files.at(manifest_path);
  packager::verify_manifest({reinterpret_cast<const char*>(json.data()), json.size()},
                            manifest_path, objects, {}, report);
  return report;
}

bool is_full_run() {
  const char* full = std::getenv("KVCAST_FULL");
  return full && std::strcmp(full, "1") == 0;
}

}  // namespace kvcast::damage
