#include "tools/eval/evaluation.h"

#include <fmt/format.h>

namespace kvcast::eval {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

Result<std::vector<std::vector<uint32_t>>> cut_contexts(const engine::Model& model,
                                                        const std::string& text,
                                                        const ContextParams& params) {
  const auto ids = model.tokenizer().encode(text);
  if (!ids.ok()) return ids.error();
  const size_t first = model.config().bos ? 1 : 0;
  const size_t length = size_t{params.context_tokens} + params.continuation - first;
  const size_t spacing = ids->size() / params.contexts;
  if (spacing < length) {
    return Error{ErrorKind::kUsage,
                 fmt::format("the text has {} tokens; {} contexts of {} need {}: pass a longer "
                             "text or fewer --contexts",
                             ids->size(), params.contexts, length, params.contexts * length)};
  }
  std::vector<std::vector<uint32_t>> contexts;
  for (size_t i = 0; i < params.contexts; ++i) {
    std::vector<uint32_t>& tokens = contexts.emplace_back();
    if (model.config().bos) tokens.push_back(*model.config().bos);
    const auto from = ids->begin() + static_cast<std::ptrdiff_t>(i * spacing);
    tokens.insert(tokens.end(), from, from + static_cast<std::ptrdiff_t>(length));
  }
  return contexts;
}

Result<std::vector<Row>> evaluate(const engine::Model& model,
                                  std::span<const std::vector<uint32_t>> contexts,
                                  std::span<const std::unique_ptr<Scheme>> schemes,
                                  const ContextParams& params,
                                  const std::function<void(size_t done)>& on_context,
                                  std::stop_token stop) {
  std::vector<Row> rows;
  for (size_t i = 0; i < contexts.size(); ++i) {
    const auto reference =
        make_reference(model, contexts[i], params.context_tokens, params.threads);
    if (!reference.ok()) return reference.error();
    size_t row = 0;
    const Emit emit = [&](std::span<const Point> points, engine::KvCache& candidate) -> Status {
      const auto verdict = judge(model, *reference, candidate, params.threads);
      if (!verdict.ok()) return verdict.error();
      for (const Point& point : points) {
        if (i == 0) rows.push_back({point.curve, point.label, point.shared_bytes, {}});
        rows[row++].samples.push_back({point.bytes, *verdict});
      }
      return {};
    };
    for (const auto& scheme : schemes) {
      if (Status ran = scheme->run(*reference, emit); !ran.ok()) return ran.error();
    }
    on_context(i + 1);
    if (stop.stop_requested()) break;
  }
  return rows;
}

}  // namespace kvcast::eval
