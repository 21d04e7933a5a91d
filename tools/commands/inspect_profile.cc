#include "tools/commands/inspect_profile.h"

#include <fmt/format.h>

#include <numeric>
#include <vector>

namespace kvcast::tools {
namespace {

using kernels::Side;
using nlohmann::ordered_json;

ordered_json section_row(const kernels::Profile& profile, uint32_t group, Side side) {
  const kernels::SectionCodec& codec = profile.section(group, side);
  const kernels::LayerGroup& layers = profile.groups[group];
  const auto mean_scale = codec.scale.empty()
                              ? 0.0
                              : std::accumulate(codec.scale.begin(), codec.scale.end(), 0.0) /
                                    static_cast<double>(codec.scale.size());
  return {
      {"layers", fmt::format("{}-{}", layers.first_layer, layers.first_layer + layers.layers - 1)},
      {"side", side == Side::kKey ? "keys" : "values"},
      {"width", profile.section_width(group, side)},
      {"coefficients", codec.coefficients()},
      {"transform", codec.blocks.empty() ? std::string("none")
                                         : fmt::format("{} blocks of {}", codec.blocks.size(),
                                                       codec.blocks[0].width)},
      {"step", codec.step},
      {"rounding", codec.rounding},
      {"mean_scale", mean_scale},
      {"drop_bits", std::vector<uint32_t>(codec.drop_bits.begin(), codec.drop_bits.end())}};
}

}  // namespace

ordered_json inspect_profile(const kernels::Profile& profile) {
  ordered_json json = {{"profile_levels", profile.levels},
                       {"sink_tokens", profile.sink_tokens},
                       {"ropes", profile.ropes.size()},
                       {"classes", profile.classes.size()},
                       {"passes", profile.classes.empty() ? 0 : profile.classes[0].passes.size()},
                       {"agreement_points", profile.agreement.size()}};
  ordered_json rows = ordered_json::array();
  for (uint32_t group = 0; group < profile.groups.size(); ++group) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      if (profile.section_width(group, side) > 0) rows.push_back(section_row(profile, group, side));
    }
  }
  json["transform_groups"] = std::move(rows);
  return json;
}

}  // namespace kvcast::tools
