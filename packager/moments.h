// Second moments of what meets a cache's errors, which calibration may weight them with. Read from
// files an engine wrote: packager/moments_format.md. Stateless.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "manifests/result.h"

namespace kvcast::packager {

struct Moments {
  // [layer * heads + head]: [dim][dim], symmetric. Empty: the files have none.
  std::vector<std::vector<float>> query;   // of the key heads: E[q q^T] as keys meet queries
  std::vector<std::vector<float>> output;  // of the value heads: W_o^T W_o
};

// Files of one model, averaged. `weights`: the model's id, which they must name. Errors name the
// file and tensor.
manifests::Result<Moments> read_moments(const std::vector<std::string>& paths,
                                        const kernels::Geometry& geometry,
                                        const std::string& weights);

// How much an error in each channel of a layer's keys or values counts, relative to the layer's
// geometric mean: the root of the moment's diagonal. [heads * dim]; ones where there is no moment.
std::vector<float> channel_weights(const Moments& moments, const kernels::Geometry& geometry,
                                   uint32_t layer, kernels::Side side);

}  // namespace kvcast::packager
