#include "kernels/plane/row_ropes.h"

namespace kvcast::kernels {
namespace {

size_t floats_of_pair(const Rope& rope) {
  return rope.layout == Rope::Layout::kInterleaved ? 2 : 1;
}

}  // namespace

RowRopes::RowRopes(const SectionShape& shape, std::span<const RopeAngles> ropes)
    : shape_(shape), ropes_(ropes) {
  if (shape.side != Side::kKey) return;
  tables_.resize(ropes.size());
  for (uint32_t layer = 0; layer < shape.layers.layers; ++layer) {
    if (const uint8_t rope = shape.rope(layer); rope != kNoRope) tables_[rope].used = true;
  }
}

void RowRopes::move_to(uint32_t first, size_t count) {
  for (size_t i = 0; i < tables_.size(); ++i) {
    Table& table = tables_[i];
    if (!table.used) continue;
    const Rope& rope = ropes_[i].rope();
    const size_t pairs = rope.inv_freq.size(), floats = floats_of_pair(rope);
    cosines_.resize(pairs * count);
    sines_.resize(pairs * count);
    ropes_[i].columns(shape_.tokens.begin + first, count, count, cosines_.data(), sines_.data());
    table.cosine.resize(pairs * floats * count);
    table.sine.resize(pairs * floats * count);
    const auto scaling = static_cast<float>(rope.attention_scaling);
    for (size_t t = 0; t < count; ++t) {
      float* const cosine = table.cosine.data() + t * pairs * floats;
      float* const sine = table.sine.data() + t * pairs * floats;
      for (size_t pair = 0; pair < pairs; ++pair) {
        const float c = scaling * cosines_[pair * count + t];
        const float s = scaling * sines_[pair * count + t];
        if (floats == 1) {
          cosine[pair] = c;
          sine[pair] = s;
        } else {
          cosine[2 * pair] = cosine[2 * pair + 1] = c;
          sine[2 * pair] = -s;
          sine[2 * pair + 1] = s;
        }
      }
    }
  }
}

std::optional<Rotation> RowRopes::rotation(uint32_t layer, size_t token) const {
  if (tables_.empty() || shape_.rope(layer) == kNoRope) return std::nullopt;
  const Table& table = tables_[shape_.rope(layer)];
  const Rope& rope = ropes_[shape_.rope(layer)].rope();
  const size_t stride = rope.inv_freq.size() * floats_of_pair(rope);
  return Rotation{table.cosine.data() + token * stride,
                  table.sine.data() + token * stride,
                  stride,
                  rope.inv_freq.size(),
                  rope.first_dim,
                  rope.layout == Rope::Layout::kInterleaved};
}

}  // namespace kvcast::kernels
