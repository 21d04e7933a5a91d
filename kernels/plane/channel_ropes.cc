#include "kernels/plane/channel_ropes.h"

namespace kvcast::kernels {
ChannelRopes::ChannelRopes(const SectionShape& shape, std::span<const RopeAngles> ropes)
    : shape_(shape), ropes_(ropes) {
  if (shape.side != Side::kKey) return;
  tables_.resize(ropes.size());
  for (uint32_t layer = 0; layer < shape.layers.layers; ++layer) {
    const uint8_t rope = shape.rope(layer);
    if (rope == kNoRope || tables_[rope].used) continue;
    Table& table = tables_[rope];
    const size_t size = ropes[rope].rope().inv_freq.size() * kColumnTokens;
    table.used = true;
    table.cosine.resize(size);
    table.minus_sine.resize(size);
  }
}

void ChannelRopes::move_to(uint32_t first, size_t count) {
  for (size_t i = 0; i < tables_.size(); ++i) {
    Table& table = tables_[i];
    if (!table.used) continue;
    ropes_[i].columns(shape_.tokens.begin + first, count, kColumnTokens, table.cosine.data(),
                      table.minus_sine.data());
    for (float& sine : table.minus_sine) sine = -sine;
  }
}

const ChannelRopes::Table* ChannelRopes::table_of(uint32_t layer) const {
  if (tables_.empty() || shape_.rope(layer) == kNoRope) return nullptr;
  return &tables_[shape_.rope(layer)];
}

void ChannelRopes::undo(const ColumnKernels& kernels, uint32_t layer, float* head) const {
  const Table* const table = table_of(layer);
  if (!table) return;
  const Rope& rope = ropes_[shape_.rope(layer)].rope();
  const size_t pairs = rope.inv_freq.size();
  const bool half_split = rope.layout == Rope::Layout::kHalfSplit;
  const size_t step = half_split ? 1 : 2, apart = half_split ? pairs : 1;
  const auto scaling = static_cast<float>(1.0 / rope.attention_scaling);
  float* first = head + rope.first_dim * kColumnTokens;
  for (size_t i = 0; i < pairs; ++i, first += step * kColumnTokens) {
    kernels.rotate(table->cosine.data() + i * kColumnTokens,
                   table->minus_sine.data() + i * kColumnTokens, scaling, first,
                   first + apart * kColumnTokens);
  }
}

}  // namespace kvcast::kernels
