#include "tools/engine/model.h"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "manifests/digest.h"
#include "manifests/file.h"
#include "manifests/safetensors.h"
#include "tools/engine/load/weights.h"

namespace kvcast::engine {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr uint64_t kMaxConfigBytes = 1u << 20;  // real ones have a few hundred bytes
constexpr size_t kHashPieceBytes = 1u << 20;

struct TextFile {
  std::string text;
  std::string sha256;
};

Result<TextFile> read_text(const std::string& path, uint64_t limit) {
  Result<std::vector<std::byte>> bytes = manifests::read_file(path, limit);
  if (!bytes.ok()) return bytes.error();
  return TextFile{std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()),
                  manifests::sha256(*bytes).hex()};
}

Result<std::string> hash_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> piece(kHashPieceBytes);
  manifests::Sha256 hash;
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    hash.update(std::as_bytes(std::span(piece.data(), static_cast<size_t>(file.gcount()))));
  }
  if (!file.eof()) return manifests::io_error(path, "read", errno);
  return hash.finish().hex();
}

Result<manifests::SafetensorsFile> open_weights(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (std::filesystem::exists(folder / "model.safetensors.index.json", ignored)) {
    return Error{ErrorKind::kUsage,
                 fmt::format("{}: weights in several files are not supported: save the model with "
                             "a max_shard_size above its size",
                             (folder / "model.safetensors.index.json").string())};
  }
  return manifests::SafetensorsFile::open((folder / "model.safetensors").string());
}

std::string folder_name(std::filesystem::path folder) {
  std::error_code ignored;
  const auto whole = std::filesystem::canonical(folder, ignored);
  return whole.empty() ? folder.filename().string() : whole.filename().string();
}

}  // namespace

Result<Model> Model::load(const std::string& folder_path) {
  openblas_set_num_threads(1);
  const std::filesystem::path folder(folder_path);
  Result<TextFile> config_file = read_text((folder / "config.json").string(), kMaxConfigBytes);
  if (!config_file.ok()) return config_file.error();
  Result<ModelConfig> config = parse_config(config_file->text, (folder / "config.json").string());
  if (!config.ok()) return config.error();
  Result<TextFile> tokenizer_file =
      read_text((folder / "tokenizer.json").string(), kMaxTokenizerBytes);
  if (!tokenizer_file.ok()) return tokenizer_file.error();
  Result<Tokenizer> tokenizer =
      Tokenizer::parse(tokenizer_file->text, (folder / "tokenizer.json").string());
  if (!tokenizer.ok()) return tokenizer.error();
  Result<manifests::SafetensorsFile> weights_file = open_weights(folder);
  if (!weights_file.ok()) return weights_file.error();
  Result<Weights> weights = read_weights(*weights_file, *config);
  if (!weights.ok()) return weights.error();
  Result<std::string> weights_id = hash_file(weights_file->path());
  if (!weights_id.ok()) return weights_id.error();

  Model model;
  model.name_ = folder_name(folder);
  model.weights_id_ = std::move(*weights_id);
  model.tokenizer_id_ = std::move(tokenizer_file->sha256);
  model.config_ = std::move(*config);
  model.tokenizer_ = std::move(*tokenizer);
  model.weights_ = std::make_shared<const Weights>(std::move(*weights));
  return model;
}

manifests::ModelIdentity Model::identity(kernels::DType dtype) const {
  manifests::ModelIdentity identity;
  identity.name = name_;
  identity.weights = weights_id_;
  identity.tokenizer = tokenizer_id_;
  identity.layers = config_.layers;
  identity.key_heads = identity.value_heads = config_.kv_heads;
  identity.key_dim = identity.value_dim = config_.head_dim;
  identity.dtype = kernels::dtype_name(dtype);
  manifests::state_ropes({config_.stated_rope}, identity);
  return identity;
}

}  // namespace kvcast::engine
