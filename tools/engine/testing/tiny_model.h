// A Llama model small enough to check by hand, with random weights, written as Hugging Face would;
// and a plain fp64 forward pass over it, written from the paper rather than from the engine.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace kvcast::engine::testing {

struct TinyTensor {
  std::vector<uint64_t> shape;
  std::vector<float> values;
};

// Tests change what they want to see refused or computed, then write it.
struct TinyModel {
  nlohmann::json config;
  std::map<std::string, TinyTensor> tensors;
  std::string dtype = "F32";  // "BF16" and "F16" round the values
};

// 2 layers, 4 heads sharing 2 KV heads, head_dim 8, hidden 24, vocabulary 40, untied, 512
// positions.
TinyModel make_tiny_model(uint64_t seed);

// Writes the three files into `folder`; the tokenizer is the pocket model's. Values of `model`
// become what the file holds.
void write_model(TinyModel& model, const std::string& folder);

// A fresh folder for this test.
std::string test_folder(const std::string& name);

// Logits of the last token, in double. `frequencies` are RoPE's.
std::vector<double> reference_logits(const TinyModel& model, std::span<const uint32_t> tokens,
                                     const std::vector<double>& frequencies);

}  // namespace kvcast::engine::testing
