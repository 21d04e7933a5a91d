// The evaluation itself: contexts from a text, every scheme on each.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "tools/engine/model.h"
#include "tools/eval/results.h"
#include "tools/eval/scheme.h"

namespace kvcast::eval {

struct ContextParams {
  uint32_t contexts = 20;
  uint32_t context_tokens = 2000;
  uint32_t continuation = 256;
  unsigned threads = 0;
};

// Stretches of the text, equally spaced, which do not overlap; each begins with the model's first
// token. kUsage if the text is too short.
manifests::Result<std::vector<std::vector<uint32_t>>> cut_contexts(const engine::Model& model,
                                                                   const std::string& text,
                                                                   const ContextParams& params);

// `on_context` is called after each context. One context in memory at a time. `stop` ends it after
// the context it is at, with the rows of those done.
manifests::Result<std::vector<Row>> evaluate(const engine::Model& model,
                                             std::span<const std::vector<uint32_t>> contexts,
                                             std::span<const std::unique_ptr<Scheme>> schemes,
                                             const ContextParams& params,
                                             const std::function<void(size_t done)>& on_context,
                                             std::stop_token stop = {});

}  // namespace kvcast::eval
