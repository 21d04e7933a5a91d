#include "kernels/plane/channels.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "kernels/implementation/transform_kernels.h"
#include "kernels/plane/channel_ropes.h"
#include "kernels/transform/forward_transform.h"

namespace kvcast::kernels {
namespace {

constexpr size_t kAheadInRow = 256;  // bytes

bool is_bf16_or_f16(DType dtype) {
  return dtype == DType::kBf16 || dtype == DType::kF16;
}

// Some elements of one layer's channels, `tokens` tokens from `from` on, to columns.
void load_columns(const ColumnKernels& kernels, DType dtype, const std::byte* from, size_t stride,
                  size_t tokens, size_t channels, size_t ahead, std::vector<uint16_t>& narrow,
                  float* columns) {
  if (is_bf16_or_f16(dtype)) {
    narrow.resize(channels * kColumnTokens);
    kernels.to_columns(from, stride, tokens, channels, ahead, narrow.data());
    (dtype == DType::kBf16 ? kernels.widen_bf16 : kernels.widen_f16)(narrow.data(), narrow.size(),
                                                                     columns);
    return;
  }
  std::vector<float> row(channels);
  for (size_t t = 0; t < kColumnTokens; ++t) {
    if (t < tokens) load_f32(dtype, from + t * stride, row);
    for (size_t c = 0; c < channels; ++c) columns[c * kColumnTokens + t] = row[c];
  }
}

Fault not_finite(const SectionShape& shape, float value, uint32_t layer, uint32_t token,
                 size_t channel) {
  const uint32_t dim = shape.profile->geometry.dim(shape.side);
  return {std::string(std::isnan(value) ? "NaN" : "infinity") + " in layer " +
              std::to_string(shape.layers.first_layer + layer) + ", token " +
              std::to_string(shape.tokens.begin + token) + ", head " +
              std::to_string(channel / dim) + ", dim " + std::to_string(channel % dim) +
              ": only the exact representation can hold it",
          (size_t{layer} * shape.tokens.count + token) * shape.channels + channel};
}

// The first NaN or infinity of tokens [first, first + count) of the chunk.
Check check_rows(const SectionShape& shape, DType dtype, std::span<const TensorView> layers,
                 uint32_t first, size_t count) {
  std::vector<float> row(shape.channels);
  for (uint32_t layer = 0; layer < layers.size(); ++layer) {
    for (uint32_t token = first; token < first + count; ++token) {
      load_f32(dtype, layers[layer].data + token * layers[layer].token_stride_bytes, row);
      const auto bad =
          std::find_if(row.begin(), row.end(), [](float x) { return !std::isfinite(x); });
      if (bad != row.end())
        return not_finite(shape, *bad, layer, token, static_cast<size_t>(bad - row.begin()));
    }
  }
  return {};
}

// Values near the end of fp32's range may overflow in the transform.
Fault overflow(const SectionShape& shape, std::span<const float* const> coefficients,
               uint32_t first_token) {
  size_t t = 0;
  const auto is_finite = [&](const float* column) { return std::isfinite(column[t]); };
  while (std::all_of(coefficients.begin(), coefficients.end(), is_finite)) ++t;
  const uint32_t token = first_token + static_cast<uint32_t>(t);
  return {"layers from " + std::to_string(shape.layers.first_layer) + ", token " +
              std::to_string(shape.tokens.begin + token) +
              ": a coefficient overflows fp32; only the exact representation can hold it",
          size_t{token} * shape.channels};
}

// Channels that are read together: a head, whose channels RoPE turns in pairs, or whole cache lines
// of a row.
uint32_t unit(const SectionShape& shape) {
  return shape.side == Side::kKey ? shape.profile->geometry.dim(shape.side) : 2 * kLanes;
}

}  // namespace

ChannelKernels::ChannelKernels(const Profile& profile, Implementation implementation)
    : transform(&transform_kernels(implementation)),
      ropes(profile.ropes.begin(), profile.ropes.end()),
      bases(profile),
      packed_bases(profile, *transform->inverse) {}

std::vector<GroupRange> group_ranges(const SectionShape& shape) {
  const SectionCodec& codec = *shape.codec;
  const uint32_t step = std::lcm(unit(shape), kLanes);
  if (!codec.blocks.empty() || step == 0 || step >= shape.width ||
      !std::is_sorted(codec.order.begin(), codec.order.end())) {
    return {{0, shape.groups, 0, shape.width}};
  }
  std::vector<GroupRange> ranges;
  for (uint32_t channel = 0; channel < shape.width; channel += step) {
    const uint32_t channels = std::min(step, shape.width - channel);
    ranges.push_back({channel / kLanes, (channels + kLanes - 1) / kLanes, channel, channels});
  }
  return ranges;
}

// Reads tile after tile of a section.
class CoefficientLoader::Tiles {
 public:
  Tiles(const ChannelKernels& kernels, const SectionShape& shape, DType dtype,
        std::span<const TensorView> layers)
      : kernels_(*kernels.transform->columns),
        shape_(shape),
        dtype_(dtype),
        layers_(layers),
        ropes_(shape, kernels.ropes),
        transform_(*shape.codec, kernels_, kernels.bases.of(*shape.codec)) {}

  uint32_t coded_tokens() const { return shape_.coded_tokens; }
  Check check_sinks() const { return check_rows(shape_, dtype_, layers_, 0, shape_.sinks); }

  // Coded tokens [first, first + count) of a range to their places.
  Check load(const GroupRange& range, uint32_t first, uint32_t count, std::span<float> all) {
    const uint32_t token = shape_.sinks + first;
    ropes_.move_to(token, count);
    bool finite = true;
    const uint32_t end = range.first_channel + range.channels;
    for (uint32_t channel = range.first_channel; channel < end;) {
      const uint32_t of_layer = shape_.channels - channel % shape_.channels;
      const uint32_t channels = std::min({unit(shape_), of_layer, end - channel});
      finite &= load_channels(range, channel, channels, token, count);
      channel += channels;
    }
    if (!finite) return check_rows(shape_, dtype_, layers_, token, count);
    transform_.run();
    for (uint32_t g = range.first_group; g < range.first_group + range.groups; ++g) {
      const uint32_t lanes = shape_.lanes(g);
      const auto columns = transform_.coefficients().subspan(size_t{g} * kLanes, lanes);
      float* const rows = all.data() +
                          size_t{g - range.first_group} * kLanes * shape_.coded_tokens +
                          size_t{first} * lanes;
      kernels_.to_lanes(columns.data(), lanes, count, rows);
      if (!kernels_.all_finite(rows, size_t{count} * lanes))
        return overflow(shape_, columns, token);
    }
    return {};
  }

 private:
  // False: some element is not finite.
  bool load_channels(const GroupRange& range, uint32_t channel, uint32_t channels, uint32_t token,
                     uint32_t count) {
    const uint32_t layer = channel / shape_.channels;
    const TensorView& view = layers_[layer];
    float* const columns = transform_.channels().data() + size_t{channel} * kColumnTokens;
    const bool whole_rows = range.channels == shape_.width;
    const size_t ahead = whole_rows ? kAheadInRow : kColumnTokens * view.token_stride_bytes;
    load_columns(kernels_, dtype_,
                 view.data + token * view.token_stride_bytes +
                     channel % shape_.channels * dtype_bytes(dtype_),
                 view.token_stride_bytes, count, channels, ahead, narrow_, columns);
    const bool finite = kernels_.all_finite(columns, channels * kColumnTokens);
    ropes_.undo(kernels_, layer, columns);
    transform_.normalise(channel, channels);
    return finite;
  }

  const ColumnKernels& kernels_;
  const SectionShape& shape_;
  DType dtype_;
  std::span<const TensorView> layers_;
  ChannelRopes ropes_;
  ForwardTransform transform_;
  std::vector<uint16_t> narrow_;
};

CoefficientLoader::CoefficientLoader(const ChannelKernels& kernels, const SectionShape& shape,
                                     DType dtype, std::span<const TensorView> layers)
    : tiles_(std::make_unique<Tiles>(kernels, shape, dtype, layers)) {}

CoefficientLoader::~CoefficientLoader() = default;

Check CoefficientLoader::check_sinks() const {
  return tiles_->check_sinks();
}

Check CoefficientLoader::load(const GroupRange& range, std::span<float> all) {
  const uint32_t tokens = tiles_->coded_tokens();
  for (uint32_t first = 0; first < tokens; first += kColumnTokens) {
    const auto count = std::min<uint32_t>(kColumnTokens, tokens - first);
    if (Check check = tiles_->load(range, first, count, all); !check) return check;
  }
  return {};
}

Checked<std::vector<float>> load_coefficients(const ChannelKernels& kernels,
                                              const SectionShape& shape, DType dtype,
                                              std::span<const TensorView> layers) {
  std::vector<float> all(size_t{shape.coded_tokens} * shape.coefficients);
  const GroupRange whole{0, shape.groups, 0, shape.width};
  CoefficientLoader loader(kernels, shape, dtype, layers);
  if (Check check = loader.check_sinks(); !check) return check.fault();
  if (Check check = loader.load(whole, all); !check) return check.fault();
  return all;
}

Checked<std::vector<float>> load_coefficients(const SectionShape& shape, DType dtype,
                                              std::span<const TensorView> layers) {
  return load_coefficients(ChannelKernels(*shape.profile, default_implementation()), shape, dtype,
                           layers);
}

}  // namespace kvcast::kernels
