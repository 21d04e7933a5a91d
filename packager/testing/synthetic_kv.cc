#include "packager/testing/synthetic_kv.h"

#include <cmath>
#include <numeric>
#include <stdexcept>

#include "manifests/kv_file.h"
#include "manifests/safetensors.h"
#include "manifests/safetensors_writer.h"

namespace kvcast::packager {
namespace {

using kernels::Side;

std::vector<std::byte> synthetic_tensor(const SyntheticKv& kv, uint32_t layer, Side side) {
  const uint32_t channels = kv.geometry.channels(side);
  std::mt19937_64 random(kv.seed * 1000003 + 2 * layer + static_cast<uint32_t>(side));
  std::normal_distribution<float> normal;
  std::vector<float> mean(channels), scale(channels), state(channels), row(channels);
  for (uint32_t c = 0; c < channels; ++c) {
    mean[c] = 3 * normal(random);
    scale[c] = std::exp(normal(random));
    state[c] = normal(random);
  }
  const size_t row_bytes = channels * kernels::dtype_bytes(kv.dtype);
  std::vector<std::byte> bytes(kv.tokens * row_bytes);
  for (uint32_t token = 0; token < kv.tokens; ++token) {
    for (uint32_t c = 0; c < channels; ++c) {
      state[c] = 0.8f * state[c] + 0.6f * normal(random);
      row[c] = mean[c] + scale[c] * state[c];
    }
    kernels::store_f32(kv.dtype, row, bytes.data() + token * row_bytes);
  }
  return bytes;
}

manifests::KvFileInfo info_of(const SyntheticKv& kv) {
  manifests::KvFileInfo info;
  info.model.name = "synthetic";
  info.model.weights = "synthetic-weights";
  info.model.layers = kv.geometry.layers;
  info.model.key_heads = kv.geometry.key_heads;
  info.model.key_dim = kv.geometry.key_dim;
  info.model.value_heads = kv.geometry.value_heads;
  info.model.value_dim = kv.geometry.value_dim;
  info.model.dtype = kernels::dtype_name(kv.dtype);
  if (kv.rope != "none") info.ropes = {{kv.rope, 10000, kv.geometry.key_dim / 2 * 2}};
  if (!kv.ropes.empty()) info.ropes = kv.ropes;
  info.tokens = kv.tokens;
  if (kv.with_tokens) {
    info.token_ids.resize(kv.tokens);
    std::iota(info.token_ids.begin(), info.token_ids.end(), static_cast<uint32_t>(kv.seed));
    info.text = kv.text;
  }
  return info;
}

std::string tensor_name(uint32_t layer, Side side) {
  return side == Side::kKey ? manifests::key_tensor_name(layer)
                            : manifests::value_tensor_name(layer);
}

std::vector<uint64_t> shape_of(const SyntheticKv& kv, Side side) {
  return {kv.tokens, kv.geometry.heads(side), kv.geometry.dim(side)};
}

void require(const manifests::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error().message);
}

}  // namespace

SyntheticKv random_synthetic(std::mt19937_64& random) {
  const auto pick = [&](uint32_t least, uint32_t most) {
    return std::uniform_int_distribution<uint32_t>(least, most)(random);
  };
  SyntheticKv kv;
  kv.geometry = {pick(1, 4), pick(1, 3), 2 * pick(1, 20), pick(1, 3), pick(1, 40)};
  kv.dtype = kernels::kDTypes[pick(0, 4)];
  kv.tokens = pick(1, 150);
  if (pick(0, 5) == 0) kv.geometry.value_heads = kv.geometry.value_dim = 0;
  const char* const layouts[] = {"none", "half_split", "interleaved"};
  kv.rope = layouts[pick(0, 2)];
  if (kv.rope != "none" && pick(0, 1) == 0) {
    manifests::StatedRope rope{kv.rope, 1e5, 2 * pick(1, kv.geometry.key_dim / 2)};
    rope.first_dim = pick(0, kv.geometry.key_dim - rope.rotary_dims);
    if (pick(0, 1) == 0) rope.scaling = manifests::RopeScaling{"yarn", 4, 64};
    for (uint32_t layer = 0; layer < kv.geometry.layers; layer += pick(1, 2)) {
      rope.layers.push_back(layer);
    }
    kv.ropes = {rope};
  }
  kv.seed = pick(1, 1 << 30);
  return kv;
}

std::vector<std::vector<std::byte>> synthetic_tensors(const SyntheticKv& kv) {
  std::vector<std::vector<std::byte>> tensors;
  for (uint32_t layer = 0; layer < kv.geometry.layers; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      tensors.push_back(synthetic_tensor(kv, layer, side));
    }
  }
  return tensors;
}

void write_kv_file(const std::string& path, const SyntheticKv& kv,
                   const std::vector<std::vector<std::byte>>& tensors) {
  std::vector<manifests::TensorToWrite> list;
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    const auto side = static_cast<Side>(i % 2);
    if (kv.geometry.channels(side) == 0) continue;
    list.push_back(
        {tensor_name(i / 2, side), kernels::dtype_name(kv.dtype), shape_of(kv, side), tensors[i]});
  }
  require(manifests::write_safetensors(path, manifests::kv_file_metadata(info_of(kv)), list));
}

void write_kv_file(const std::string& path, const SyntheticKv& kv) {
  write_kv_file(path, kv, synthetic_tensors(kv));
}

void stream_kv_file(const std::string& path, const SyntheticKv& kv) {
  std::vector<manifests::TensorPlan> plan;
  for (uint32_t i = 0; i < 2 * kv.geometry.layers; ++i) {
    const auto side = static_cast<Side>(i % 2);
    plan.push_back({tensor_name(i / 2, side), kernels::dtype_name(kv.dtype), shape_of(kv, side)});
  }
  auto writer =
      manifests::SafetensorsWriter::create(path, manifests::kv_file_metadata(info_of(kv)), plan);
  if (!writer.ok()) throw std::runtime_error(writer.error().message);
  for (uint32_t i = 0; i < plan.size(); ++i) {
    require(writer->write(i, 0, synthetic_tensor(kv, i / 2, static_cast<Side>(i % 2))));
  }
  require(writer->commit());
}

}  // namespace kvcast::packager
