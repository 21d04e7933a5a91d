// A model's weights as fp32, row-major [outputs][inputs] as Hugging Face stores them: y = W x.
#pragma once

#include <vector>

#include "manifests/result.h"
#include "manifests/safetensors.h"
#include "tools/engine/config.h"

namespace kvcast::engine {

struct LayerWeights {
  std::vector<float> attention_norm;  // [hidden]
  std::vector<float> query;           // [query_channels][hidden]
  std::vector<float> key, value;      // [kv_channels][hidden]
  std::vector<float> output;          // [hidden][query_channels]
  std::vector<float> mlp_norm;        // [hidden]
  std::vector<float> gate, up;        // [intermediate][hidden]
  std::vector<float> down;            // [hidden][intermediate]
};

struct Weights {
  std::vector<float> embedding;  // [vocabulary][hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [hidden]
  std::vector<float> head;        // [vocabulary][hidden]; empty when tied to the embedding

  const std::vector<float>& logits_matrix() const { return head.empty() ? embedding : head; }
};

// Shapes and dtypes (F16, BF16, F32) checked before anything is allocated; errors name the tensor.
manifests::Result<Weights> read_weights(const manifests::SafetensorsFile& file,
                                        const ModelConfig& config);

}  // namespace kvcast::engine
