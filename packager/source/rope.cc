#include "packager/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/rope.h"

namespace kvcast::packager {
namespace {

using Rule = kernels::RopeScaling::Rule;

Rule rule_named(std::string_view name) {
  constexpr std::pair<std::string_view, Rule> kRules[] = {{"linear", Rule::kLinear},
                                                          {"dynamic", Rule::kDynamic},
                                                          {"yarn", Rule::kYarn},
                                                          {"llama3", Rule::kLlama3},
                                                          {"longrope", Rule::kLongRope}};
  const auto* found = std::find_if(std::begin(kRules), std::end(kRules),
                                   [&](const auto& rule) { return rule.first == name; });
  return found == std::end(kRules) ? Rule::kNone : found->second;
}

kernels::RopeScaling kernel_scaling(const manifests::RopeScaling& stated) {
  kernels::RopeScaling scaling;
  scaling.rule = rule_named(stated.rule);
  scaling.factor = stated.factor;
  scaling.trained_positions = stated.trained_positions;
  scaling.context_tokens = stated.context_tokens;
  scaling.low_freq_factor = stated.low_freq_factor;
  scaling.high_freq_factor = stated.high_freq_factor;
  scaling.beta_fast = stated.beta_fast;
  scaling.beta_slow = stated.beta_slow;
  scaling.truncate = stated.truncate;
  scaling.mscale = stated.mscale;
  scaling.mscale_all_dim = stated.mscale_all_dim;
  scaling.attention_factor = stated.attention_factor;
  scaling.short_factor = stated.short_factor;
  scaling.long_factor = stated.long_factor;
  return scaling;
}

}  // namespace

manifests::Result<kernels::Rope> kernel_rope(const manifests::StatedRope& stated,
                                             std::string_view name) {
  kernels::Rope rope;
  rope.layout = stated.layout == "interleaved" ? kernels::Rope::Layout::kInterleaved
                                               : kernels::Rope::Layout::kHalfSplit;
  rope.first_dim = stated.first_dim;
  rope.inv_freq = stated.inv_freq;
  if (rope.inv_freq.empty()) {
    const kernels::RopeScaling scaling =
        stated.scaling ? kernel_scaling(*stated.scaling) : kernels::RopeScaling{};
    auto frequencies = kernels::scaled_frequencies(stated.theta, stated.rotary_dims, scaling);
    rope.inv_freq = std::move(frequencies.inv_freq);
    rope.attention_scaling = frequencies.attention_scaling;
  }
  rope.attention_scaling = stated.attention_scaling.value_or(rope.attention_scaling);
  const bool finite = std::all_of(rope.inv_freq.begin(), rope.inv_freq.end(),
                                  [](double frequency) { return std::isfinite(frequency); });
  if (finite && std::isfinite(rope.attention_scaling) && rope.attention_scaling > 0) return rope;
  return manifests::Error{
      manifests::ErrorKind::kCorrupt,
      fmt::format("{}: RoPE with theta {} over {} dims{} has frequencies that are no finite "
                  "numbers; state inv_freq and attention_scaling",
                  name, stated.theta, stated.rotary_dims,
                  stated.scaling ? ", scaled by rule " + stated.scaling->rule : std::string())};
}

}  // namespace kvcast::packager
