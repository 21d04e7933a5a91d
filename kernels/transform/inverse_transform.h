// From a section's bf16 coefficients to its normalised channels, over rows:
// kernels/plane_format.md, section 2. An object serves one thread; what it is made of must outlive
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/profile.h"
#include "kernels/transform/kernel_set.h"
#include "kernels/transform/packed_bases.h"

namespace kvcast::kernels {

// Normalised channels of some tokens, in the order of the heads: whole ones.
struct ChannelSums {
  size_t first_token, tokens;  // at most kTileTokens
  size_t first_channel, channels;
  const float* u;  // [token][channel], rows `stride` apart
  size_t stride;
};

class InverseTransform {
 public:
  // `blocks`: kernels/transform/packed_bases.h, of these kernels.
  InverseTransform(const SectionCodec& codec, size_t dim, const TransformKernels& kernels,
                   std::span<const PackedBlock> blocks);

  using Take = std::function<void(const ChannelSums&)>;

  // How many tokens run() should be given: the wider the bases, the more, so that they are read
  // less often.
  size_t tokens_at_a_time() const { return tiles_ * kTileTokens; }

  // rows: [token][coefficient], in coded order, at most so many tokens; take() gets every channel
  // of every token, a few at a time while they are near.
  void run(const uint16_t* rows, size_t tokens, const Take& take);

 private:
  // Neighbouring blocks that end where a head ends.
  struct Span {
    size_t first_block, end_block;
    size_t first_channel, end_channel;
    size_t first_component;
  };

  void add_spans();
  void load_columns(const uint16_t* rows, size_t tokens);
  ComponentRows load_block(const uint16_t* tile_rows, size_t tile_tokens, size_t tile, size_t block,
                           size_t first_component, ComponentPanel* to) const;
  void gather(size_t tile, size_t first_component, size_t count, ComponentPanel& to) const;
  void run_span(const Span& span, const uint16_t* rows, size_t tokens, const Take& take);
  void multiply(const Span& span, size_t first, size_t channels, const ComponentRows* components);
  void widen(const uint16_t* rows, size_t tokens, const Take& take);

  const SectionCodec& codec_;
  size_t dim_;
  const TransformKernels& kernels_;
  std::span<const PackedBlock> blocks_;
  size_t unit_ = 0;         // channels that are taken together, where blocks allow
  size_t tiles_ = 1;        // that run() takes
  size_t stride_ = 0;       // of sums_
  bool scattered_ = false;  // components are not all where their blocks want them
  std::vector<Span> spans_;
  std::vector<uint16_t> columns_;           // [tile][position][kColumnTokens]
  std::vector<const uint16_t*> column_of_;  // [component], of the first tile
  std::vector<ComponentPanel> components_;  // of a span: [tile][panel]
  std::vector<ComponentRows> loaded_;       // of a span: [tile][block]
  std::vector<CacheLine> sums_;             // of a unit of a tile
};

}  // namespace kvcast::kernels
