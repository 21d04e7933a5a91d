// The engine, as far as a play needs it: it prefills part of the context from its text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>

#include "kernels/geometry.h"
#include "manifests/result.h"

namespace kvcast::player {

struct RecomputeTask {
  std::span<const uint32_t> tokens;  // of the context, [0, end)
  uint64_t begin = 0, end = 0;       // prefill [begin, end)
  kernels::Geometry geometry;
  kernels::DType dtype = kernels::DType::kBf16;
  // [2 * layer + side]. KV of [0, begin): read only, and unchanged while the task runs. Null with a
  // device sink: there it is in the engine's own cache.
  std::span<const kernels::TensorView> prefix;
  // [2 * layer + side]. Where KV of [begin, end) goes, token `begin` first: a staging area. The
  // play copies it to the sink whole, or, when the task is cancelled or fails, not at all.
  std::span<const kernels::MutableTensorView> result;
};

struct RecomputeOutcome {
  bool cancelled = false;  // `stop` came first; the result is unspecified
  double seconds = 0;      // of the engine's time, also when cancelled
};

// Seconds that prefilling n tokens from position p takes: a + b n + c n (p + n/2).
struct RecomputeCost {
  double per_call_s = 0;
  double per_token_s = 0;
  double per_token_position_s = 0;
};

inline RecomputeCost mean_of(const RecomputeCost& a, const RecomputeCost& b) {
  return {(a.per_call_s + b.per_call_s) / 2, (a.per_token_s + b.per_token_s) / 2,
          (a.per_token_position_s + b.per_token_position_s) / 2};
}

class Recompute {
 public:
  virtual ~Recompute() = default;

  // What the engine measured beforehand, if it did; a play learns from its own tasks either way.
  virtual std::optional<RecomputeCost> cost() const { return std::nullopt; }

  // One task at a time, on a thread of the play's. Looks at `stop` often: the first token waits
  // for it. An error ends recomputation for this play, not the play.
  virtual manifests::Result<RecomputeOutcome> prefill(const RecomputeTask& task,
                                                      std::stop_token stop) = 0;
};

}  // namespace kvcast::player
