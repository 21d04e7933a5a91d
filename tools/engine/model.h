// A language model of the Llama architecture, loaded from a folder in Hugging Face's layout:
// config.json, model.safetensors (one file), tokenizer.json.
#pragma once

#include <memory>
#include <string>

#include "manifests/manifest.h"
#include "manifests/result.h"
#include "tools/engine/config.h"
#include "tools/engine/tokenizer.h"

namespace kvcast::engine {

struct Weights;

// Immutable; copies share the weights (fp32 in memory, whatever the file holds); any number of
// threads may use one.
class Model {
 public:
  // Hashes and reads every byte of the three files. Errors name the file and the key or tensor.
  // Sets OpenBLAS to one thread for the whole process, because prefill does its own threading
  // (tools/engine/prefill.h).
  static manifests::Result<Model> load(const std::string& folder);

  const std::string& name() const { return name_; }  // the folder's
  const std::string& weights_id() const {
    return weights_id_;
  }  // SHA-256 of model.safetensors, hex
  const std::string& tokenizer_id() const {
    return tokenizer_id_;
  }  // SHA-256 of tokenizer.json, hex
  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const Weights& weights() const { return *weights_; }  // tools/engine/load/weights.h

  // What manifests and KV files say about a cache of this model kept as `dtype`.
  manifests::ModelIdentity identity(kernels::DType dtype) const;

 private:
  Model() = default;
  std::string name_, weights_id_, tokenizer_id_;
  ModelConfig config_;
  Tokenizer tokenizer_;
  std::shared_ptr<const Weights> weights_;
};

}  // namespace kvcast::engine
