#include "kernels/transform/inverse_transform.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace kvcast::kernels {
namespace {

constexpr size_t kUnitChannels = 128;             // so that a tile's sums stay in the first cache
constexpr size_t kNearBytes = size_t{256} << 10;  // of a basis that may be read for every tile
constexpr size_t kMostBytes = size_t{1} << 20;    // of components beside a wider one
constexpr size_t kMostTiles = 16;
constexpr size_t kAheadInRow = 256;  // bytes

float* as_floats(std::vector<CacheLine>& lines) {
  return reinterpret_cast<float*>(lines.data());
}

// The calling thread multiplies while this lives.
class Multiplying {
 public:
  explicit Multiplying(const InverseKernels& kernels) : kernels_(kernels) { kernels_.begin(); }
  ~Multiplying() { kernels_.end(); }
  Multiplying(const Multiplying&) = delete;

 private:
  const InverseKernels& kernels_;
};

size_t tokens_of_tile(size_t tile, size_t tokens) {
  return std::min(kTileTokens, tokens - tile * kTileTokens);
}

}  // namespace

InverseTransform::InverseTransform(const SectionCodec& codec, size_t dim,
                                   const TransformKernels& kernels,
                                   std::span<const PackedBlock> blocks)
    : codec_(codec), dim_(dim), kernels_(kernels), blocks_(blocks) {
  if (codec.mean.empty()) return;
  unit_ = std::lcm(dim, kPanel);
  unit_ *= std::max<size_t>(1, kUnitChannels / unit_);
  scattered_ = blocks.empty() ? !std::is_sorted(codec.order.begin(), codec.order.end())
                              : std::any_of(blocks.begin(), blocks.end(), [](const auto& block) {
                                  return !block.first_position;
                                });
  size_t channels = std::min(unit_, codec.mean.size());
  if (!blocks.empty()) add_spans();
  size_t most_panels = 1;
  for (const Span& span : spans_) {
    size_t span_panels = 0;
    for (size_t b = span.first_block; b < span.end_block; ++b) {
      const TransformBlock& block = codec.blocks[b];
      span_panels += panels(block.rank);
      if (blocks[b].basis.size() * sizeof(CacheLine) > kNearBytes) tiles_ = kMostTiles;
    }
    most_panels = std::max(most_panels, span_panels);
    const size_t width = span.end_channel - span.first_channel;
    channels =
        std::max(channels, span.end_block - span.first_block == 1 ? std::min(unit_, width) : width);
  }
  tiles_ = std::clamp<size_t>(kMostBytes / (most_panels * sizeof(ComponentPanel)), 1, tiles_);
  // A block's last panel of channels reaches beyond it.
  stride_ = (panels(channels) + 1) * kPanel;
  components_.resize(tiles_ * most_panels);
  sums_.resize(kTileTokens * stride_ * sizeof(float) / sizeof(CacheLine));
  if (!scattered_) return;
  columns_.resize(tiles_ * codec.order.size() * kColumnTokens);
  column_of_.resize(codec.order.size());
  for (size_t p = 0; p < codec.order.size(); ++p)
    column_of_[codec.order[p]] = columns_.data() + p * kColumnTokens;
}

void InverseTransform::add_spans() {
  Span span{};
  size_t component = 0;
  for (size_t b = 0; b < codec_.blocks.size(); ++b) {
    const TransformBlock& block = codec_.blocks[b];
    component += block.rank;
    span.end_block = b + 1;
    span.end_channel = block.first_channel + block.width;
    if (span.end_channel % dim_ != 0) continue;
    spans_.push_back(span);
    span = {b + 1, b + 1, span.end_channel, span.end_channel, component};
  }
}

void InverseTransform::run(const uint16_t* rows, size_t tokens, const Take& take) {
  if (scattered_) load_columns(rows, tokens);
  if (blocks_.empty()) return widen(rows, tokens, take);
  const Multiplying multiplying(*kernels_.inverse);
  for (const Span& span : spans_) run_span(span, rows, tokens, take);
}

void InverseTransform::load_columns(const uint16_t* rows, size_t tokens) {
  const size_t coded = codec_.order.size();
  for (size_t first = 0; first < tokens; first += kTileTokens) {
    kernels_.columns->to_columns(reinterpret_cast<const std::byte*>(rows + first * coded),
                                 coded * sizeof(uint16_t), std::min(kTileTokens, tokens - first),
                                 coded, kAheadInRow, columns_.data() + first * coded);
  }
}

void InverseTransform::gather(size_t tile, size_t first_component, size_t count,
                              ComponentPanel& to) const {
  const uint16_t* columns[kPanel];
  for (size_t i = 0; i < count; ++i)
    columns[i] = column_of_[first_component + i] + tile * kTileTokens * codec_.order.size();
  kernels_.columns->to_rows(columns, count, to.of_token[0]);
}

// tile_rows: the tile's. Tokens that are not there are copies of the last. Where nothing is missing
// and nothing moves, components stay where they are; panels, read again and again for wide bases,
// are nearer together.
ComponentRows InverseTransform::load_block(const uint16_t* tile_rows, size_t tile_tokens,
                                           size_t tile, size_t block, size_t first_component,
                                           ComponentPanel* to) const {
  const size_t rank = codec_.blocks[block].rank, coded = codec_.order.size();
  const std::optional<size_t> position = blocks_[block].first_position;
  if (position && rank % kPanel == 0 && tile_tokens == kTileTokens && tiles_ == 1) {
    const uint16_t* const first = tile_rows + *position;
    for (size_t t = 0; t < kTileTokens; ++t) {
      for (size_t r = 0; r < rank; r += kPanel)
        __builtin_prefetch(first + (kTileTokens + t) * coded + r);
    }
    return {first, coded, kPanel};
  }
  const ComponentRows loaded{to->of_token[0], kPanel, kPanelElements};
  for (size_t r = 0; r < rank; r += kPanel, ++to) {
    const size_t count = std::min(kPanel, rank - r);
    if (!position) {
      gather(tile, first_component + r, count, *to);
      continue;
    }
    const uint16_t* const from = tile_rows + *position + r;
    for (size_t t = 0; t < kTileTokens; ++t) {
      const uint16_t* const row = from + std::min(t, tile_tokens - 1) * coded;
      // The next tile's: 32 rows are more streams than hardware follows.
      __builtin_prefetch(row + kTileTokens * coded);
      if (count == kPanel) {
        std::memcpy(to->of_token[t], row, sizeof(to->of_token[t]));
      } else {
        std::copy_n(row, count, to->of_token[t]);
        std::fill(to->of_token[t] + count, std::end(to->of_token[t]), uint16_t{0});
      }
    }
  }
  return loaded;
}

void InverseTransform::run_span(const Span& span, const uint16_t* rows, size_t tokens,
                                const Take& take) {
  const size_t tiles = (tokens + kTileTokens - 1) / kTileTokens;
  const size_t blocks = span.end_block - span.first_block;
  ComponentPanel* to = components_.data();
  loaded_.clear();
  for (size_t tile = 0; tile < tiles; ++tile) {
    size_t component = span.first_component;
    for (size_t b = span.first_block; b < span.end_block; ++b) {
      loaded_.push_back(load_block(rows + tile * kTileTokens * codec_.order.size(),
                                   tokens_of_tile(tile, tokens), tile, b, component, to));
      component += codec_.blocks[b].rank;
      to += panels(codec_.blocks[b].rank);
    }
  }
  const size_t width = span.end_channel - span.first_channel;
  const size_t step = blocks == 1 ? unit_ : width;
  for (size_t c = 0; c < width; c += step) {
    const size_t channels = std::min(step, width - c);
    for (size_t tile = 0; tile < tiles; ++tile) {
      multiply(span, c, channels, loaded_.data() + tile * blocks);
      take({tile * kTileTokens, tokens_of_tile(tile, tokens), span.first_channel + c, channels,
            as_floats(sums_), stride_});
    }
  }
}

// Channels from `first` of the span on. What a block's last panel leaves beyond the block, the next
// one overwrites.
void InverseTransform::multiply(const Span& span, size_t first, size_t channels,
                                const ComponentRows* components) {
  const InverseKernels& kernels = *kernels_.inverse;
  for (size_t b = span.first_block; b < span.end_block; ++b) {
    const TransformBlock& block = codec_.blocks[b];
    const size_t width = std::min<size_t>(block.width, channels);
    float* const sums = as_floats(sums_) + (block.first_channel - span.first_channel);
    for (size_t t = 0; block.rank == 0 && t < kTileTokens; ++t)
      std::fill_n(sums + t * stride_, width, 0.0f);
    const ComponentRows& of_block = components[b - span.first_block];
    if (block.rank == 0) continue;
    kernels.product(blocks_[b].basis.data() + packed_lines(block.rank, first, kernels), block.rank,
                    panels(width), of_block, sums, stride_);
  }
}

void InverseTransform::widen(const uint16_t* rows, size_t tokens, const Take& take) {
  const size_t width = codec_.mean.size();
  for (size_t first = 0; first < tokens; first += kTileTokens) {
    const size_t count = std::min(kTileTokens, tokens - first);
    for (size_t c = 0; c < width; c += unit_) {
      const size_t channels = std::min(unit_, width - c);
      if (!scattered_) {
        kernels_.inverse->widen(rows + first * width + c, width, count, channels, as_floats(sums_),
                                stride_);
      }
      for (size_t i = 0; scattered_ && i < channels; i += kPanel) {
        gather(first / kTileTokens, c + i, std::min(kPanel, channels - i), components_[0]);
        kernels_.inverse->widen(components_[0].of_token[0], kPanel, count, kPanel,
                                as_floats(sums_) + i, stride_);
      }
      take({first, count, c, channels, as_floats(sums_), stride_});
    }
  }
}

}  // namespace kvcast::kernels
