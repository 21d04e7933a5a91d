// A presentation's shape as the C header has it.
#pragma once

#include <string>

#include "player/kvcast.h"
#include "player/sink.h"

namespace kvcast::player {

// `model` must outlive what is answered.
inline kvcast_shape shape_for_c(const KvShape& shape, const std::string& model) {
  kvcast_shape told{};
  told.size = sizeof(told);
  told.layers = shape.geometry.layers;
  told.key_heads = shape.geometry.key_heads;
  told.key_dim = shape.geometry.key_dim;
  told.value_heads = shape.geometry.value_heads;
  told.value_dim = shape.geometry.value_dim;
  told.dtype = static_cast<uint32_t>(shape.dtype);
  told.tokens = shape.tokens;
  told.model = model.c_str();
  return told;
}

}  // namespace kvcast::player
