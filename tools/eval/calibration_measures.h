// What an engine adds to a calibration: how much KL each layer's K or V causes, in which
// directions, and how much the model still agrees with itself at each level.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/profile.h"
#include "manifests/result.h"
#include "tools/engine/model.h"

namespace kvcast::eval {

struct MeasureParams {
  std::vector<std::string> inputs;  // KV files with token ids
  uint64_t continuation = 256;      // last tokens of each file, fed after its context
  unsigned threads = 0;
};

// [2 * layer + side]: mean KL when that tensor alone is quantised after a KLT over its layer, per
// squared relative step. One cache in memory at a time. `on_done` gets 0 to 1.
manifests::Result<std::vector<double>> measure_sensitivity(
    const engine::Model& model, const MeasureParams& params,
    const std::function<void(double)>& on_done);

// [2 * layer + side]: [head][dim][dim], what errors cost by direction: second moments of the
// gradients of the log-likelihoods of tokens drawn from the model (tools/engine/gradient.h), keys
// without RoPE, sinks left out. Heads of one tensor compare, tensors do not: that is what
// sensitivity is for, measured where errors are as large as a coarse level's.
manifests::Result<std::vector<std::vector<float>>> measure_error_weights(
    const engine::Model& model, const MeasureParams& params, uint32_t sink_tokens,
    const std::function<void(double)>& on_done);

// Mean relative distortion and top-1 agreement of each level, and of none (0, 1); distortion
// ascending.
manifests::Result<std::vector<kernels::AgreementPoint>> measure_agreement(
    const engine::Model& model, const kernels::Profile& profile, const MeasureParams& params,
    const std::function<void(double)>& on_done);

}  // namespace kvcast::eval
