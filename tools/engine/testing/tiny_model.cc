#include "tools/engine/testing/tiny_model.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>

#include "kernels/dtype.h"
#include "manifests/safetensors.h"

namespace kvcast::engine::testing {
namespace {

using Vector = std::vector<double>;

Vector multiply(const TinyTensor& weight, const Vector& x) {
  Vector y(weight.shape[0]);
  for (size_t row = 0; row < y.size(); ++row) {
    for (size_t i = 0; i < x.size(); ++i)
      y[row] += static_cast<double>(weight.values[row * x.size() + i]) * x[i];
  }
  return y;
}

Vector norm(const TinyTensor& weight, const Vector& x, double epsilon) {
  double squares = 0;
  for (const double v : x) squares += v * v;
  Vector y(x.size());
  const double rms = std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] / rms * static_cast<double>(weight.values[i]);
  return y;
}

void rotate(Vector& x, size_t dim, size_t position, const std::vector<double>& frequencies) {
  for (size_t head = 0; head < x.size(); head += dim) {
    for (size_t i = 0; i < dim / 2; ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      const double a = x[head + i], b = x[head + i + dim / 2];
      x[head + i] = a * std::cos(angle) - b * std::sin(angle);
      x[head + i + dim / 2] = a * std::sin(angle) + b * std::cos(angle);
    }
  }
}

// Attention of one token's query over all keys and values so far.
Vector attend(const Vector& query, const std::vector<Vector>& keys,
              const std::vector<Vector>& values, size_t dim) {
  const size_t share = query.size() / keys[0].size();
  Vector out(query.size());
  for (size_t head = 0; head < query.size() / dim; ++head) {
    const size_t kv = head / share * dim;
    Vector weight(keys.size());
    double sum = 0;
    for (size_t t = 0; t < keys.size(); ++t) {
      double dot = 0;
      for (size_t i = 0; i < dim; ++i) dot += query[head * dim + i] * keys[t][kv + i];
      sum += weight[t] = std::exp(dot / std::sqrt(static_cast<double>(dim)));
    }
    for (size_t t = 0; t < keys.size(); ++t) {
      for (size_t i = 0; i < dim; ++i) out[head * dim + i] += weight[t] / sum * values[t][kv + i];
    }
  }
  return out;
}

void add(Vector& to, const Vector& what) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += what[i];
}

void round_to_dtype(TinyTensor& tensor, kernels::DType dtype, std::vector<std::byte>& bytes) {
  bytes.resize(tensor.values.size() * kernels::dtype_bytes(dtype));
  kernels::store_f32(dtype, tensor.values, bytes.data());
  kernels::load_f32(dtype, bytes.data(), tensor.values);
}

}  // namespace

TinyModel make_tiny_model(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.25f);
  TinyModel model;
  const auto tensor = [&](const std::string& name, std::vector<uint64_t> shape) {
    TinyTensor& made = model.tensors[name + ".weight"];
    made.values.resize(shape.size() == 1 ? shape[0] : shape[0] * shape[1]);
    for (float& value : made.values) value = normal(random) + (shape.size() == 1 ? 1.0f : 0.0f);
    made.shape = std::move(shape);
  };
  tensor("model.embed_tokens", {40, 24});
  tensor("lm_head", {40, 24});
  tensor("model.norm", {24});
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    tensor(prefix + "input_layernorm", {24});
    tensor(prefix + "post_attention_layernorm", {24});
    tensor(prefix + "self_attn.q_proj", {32, 24});
    tensor(prefix + "self_attn.k_proj", {16, 24});
    tensor(prefix + "self_attn.v_proj", {16, 24});
    tensor(prefix + "self_attn.o_proj", {24, 32});
    tensor(prefix + "mlp.gate_proj", {20, 24});
    tensor(prefix + "mlp.up_proj", {20, 24});
    tensor(prefix + "mlp.down_proj", {24, 20});
  }
  model.config = {{"model_type", "llama"},
                  {"num_hidden_layers", 2},
                  {"hidden_size", 24},
                  {"intermediate_size", 20},
                  {"num_attention_heads", 4},
                  {"num_key_value_heads", 2},
                  {"head_dim", 8},
                  {"vocab_size", 40},
                  {"max_position_embeddings", 512},
                  {"rms_norm_eps", 1e-5},
                  {"rope_theta", 100.0},
                  {"hidden_act", "silu"},
                  {"tie_word_embeddings", false},
                  {"bos_token_id", 1},
                  {"eos_token_id", {2, 3}}};
  return model;
}

void write_model(TinyModel& model, const std::string& folder) {
  std::ofstream(folder + "/config.json") << model.config.dump();
  std::filesystem::copy_file(
      std::string(KVCAST_SOURCE_DIR) + "/tests/data/pocket-lm/tokenizer.json",
      folder + "/tokenizer.json", std::filesystem::copy_options::overwrite_existing);
  const auto dtype = kernels::dtype_from_name(model.dtype);
  std::map<std::string, std::vector<std::byte>> bytes;
  std::vector<manifests::TensorToWrite> tensors;
  for (auto& [name, tensor] : model.tensors) {
    if (dtype) {
      round_to_dtype(tensor, *dtype, bytes[name]);
    } else {
      bytes[name].resize(tensor.values.size() * 8);  // "I64": to be refused
    }
    tensors.push_back({name, model.dtype, tensor.shape, bytes[name]});
  }
  if (!manifests::write_safetensors(folder + "/model.safetensors", {{"format", "pt"}}, tensors)
           .ok()) {
    throw std::runtime_error("cannot write " + folder + "/model.safetensors");
  }
}

std::string test_folder(const std::string& name) {
  const auto folder = std::filesystem::temp_directory_path() /
                      ("kvcast_engine_" + std::to_string(::getpid())) / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder.string();
}

std::vector<double> reference_logits(const TinyModel& model, std::span<const uint32_t> tokens,
                                     const std::vector<double>& frequencies) {
  const auto tensor = [&](const std::string& name) -> const TinyTensor& {
    return model.tensors.at(name + ".weight");
  };
  const double epsilon = model.config["rms_norm_eps"];
  const size_t layers = model.config["num_hidden_layers"], dim = model.config["head_dim"];
  std::vector<std::vector<Vector>> keys(layers), values(layers);
  Vector x;
  for (size_t position = 0; position < tokens.size(); ++position) {
    const TinyTensor& embedding = tensor("model.embed_tokens");
    const float* row = embedding.values.data() + tokens[position] * embedding.shape[1];
    x.assign(row, row + embedding.shape[1]);
    for (size_t layer = 0; layer < layers; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      Vector h = norm(tensor(prefix + "input_layernorm"), x, epsilon);
      Vector query = multiply(tensor(prefix + "self_attn.q_proj"), h);
      Vector key = multiply(tensor(prefix + "self_attn.k_proj"), h);
      rotate(query, dim, position, frequencies);
      rotate(key, dim, position, frequencies);
      keys[layer].push_back(key);
      values[layer].push_back(multiply(tensor(prefix + "self_attn.v_proj"), h));
      add(x, multiply(tensor(prefix + "self_attn.o_proj"),
                      attend(query, keys[layer], values[layer], dim)));
      h = norm(tensor(prefix + "post_attention_layernorm"), x, epsilon);
      Vector gate = multiply(tensor(prefix + "mlp.gate_proj"), h);
      const Vector up = multiply(tensor(prefix + "mlp.up_proj"), h);
      for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
      add(x, multiply(tensor(prefix + "mlp.down_proj"), gate));
    }
  }
  const bool tied = model.config["tie_word_embeddings"];
  return multiply(tensor(tied ? "model.embed_tokens" : "lm_head"),
                  norm(tensor("model.norm"), x, epsilon));
}

}  // namespace kvcast::engine::testing
