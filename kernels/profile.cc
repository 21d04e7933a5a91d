#include "kernels/profile.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace kvcast::kernels {
namespace {

Fault at(const std::string& where, const std::string& what) {
  return Fault{"profile " + where + ": " + what};
}

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

Check validate_geometry(const Geometry& geometry) {
  if (geometry.layers < 1 || geometry.layers > kMaxLayers) {
    return at("geometry", std::to_string(geometry.layers) + " layers, expected 1 to 1024");
  }
  for (const Side side : {Side::kKey, Side::kValue}) {
    const uint64_t channels = uint64_t{geometry.heads(side)} * geometry.dim(side);
    if (channels > kMaxChannels || (side == Side::kKey && channels == 0)) {
      return at("geometry", std::to_string(channels) + (side == Side::kKey ? " key" : " value") +
                                " channels a layer, expected at most 65536, and keys at least 1");
    }
  }
  return {};
}

Check validate_ropes(const Profile& profile) {
  if (profile.ropes.size() >= kNoRope) return at("core", "more than 254 RoPE tables");
  for (size_t i = 0; i < profile.ropes.size(); ++i) {
    const Rope& rope = profile.ropes[i];
    const std::string where = "RoPE table " + std::to_string(i);
    const uint64_t end = rope.first_dim + 2 * uint64_t{rope.inv_freq.size()};
    if (rope.layout != Rope::Layout::kHalfSplit && rope.layout != Rope::Layout::kInterleaved) {
      return at(where, "layout is neither half-split nor interleaved");
    }
    if (end > profile.geometry.key_dim) return at(where, "rotary dims end past the key dim");
    if (!(rope.attention_scaling > 0) || !std::isfinite(rope.attention_scaling)) {
      return at(where, "attention scaling is not finite and positive");
    }
    const bool finite = std::all_of(rope.inv_freq.begin(), rope.inv_freq.end(),
                                    [](double f) { return std::isfinite(f); });
    if (!finite) return at(where, "an inverse frequency is not finite");
  }
  if (profile.layer_rope.size() != profile.geometry.layers)
    return at("core", "not one RoPE entry a layer");
  for (const uint8_t index : profile.layer_rope) {
    if (index != kNoRope && index >= profile.ropes.size())
      return at("core", "a layer names a RoPE table that is not there");
  }
  return {};
}

Check validate_groups(const Profile& profile) {
  uint32_t next = 0;
  for (const LayerGroup& group : profile.groups) {
    if (group.first_layer != next || group.layers < 1 ||
        group.layers > profile.geometry.layers - next) {
      return at("core", "transform groups do not tile the layers in order");
    }
    next += group.layers;
    for (const Side side : {Side::kKey, Side::kValue}) {
      if (uint64_t{group.layers} * profile.geometry.channels(side) > kMaxSectionWidth) {
        return at("core", "a transform group is wider than 2^20 channels");
      }
    }
  }
  if (next != profile.geometry.layers)
    return at("core", "transform groups do not cover every layer");
  return {};
}

Check validate_agreement(const Profile& profile) {
  if (profile.agreement.size() > kMaxAgreementPoints)
    return at("core", "more than 256 agreement points");
  for (size_t i = 0; i < profile.agreement.size(); ++i) {
    const AgreementPoint& point = profile.agreement[i];
    const bool ascends = i == 0 || point.distortion > profile.agreement[i - 1].distortion;
    if (!std::isfinite(point.distortion) || !ascends)
      return at("core", "agreement points' distortions do not ascend");
    if (!(point.top1_agreement >= 0 && point.top1_agreement <= 1))
      return at("core", "an agreement is not in [0, 1]");
  }
  return {};
}

Check validate_ladder(const std::string& where, const std::vector<uint8_t>& drop_bits,
                      uint32_t levels) {
  if (drop_bits.size() != levels) return at(where, "the ladder has not one entry a level");
  for (size_t i = 0; i < drop_bits.size(); ++i) {
    if (drop_bits[i] > (i == 0 ? kMaxDropBits : drop_bits[i - 1])) {
      return at(where, "the ladder's dropped bits grow, or exceed 8");
    }
  }
  if (drop_bits.back() != 0) return at(where, "the finest level drops bits");
  return {};
}

Check validate_blocks(const std::string& where, const SectionCodec& codec, uint32_t width) {
  uint32_t next = 0;
  for (const TransformBlock& block : codec.blocks) {
    if (block.first_channel != next || block.width < 1 || block.width > width - next) {
      return at(where, "transform blocks do not tile the channels in order");
    }
    next += block.width;
    if (block.rank > block.width) return at(where, "a transform block's rank exceeds its width");
    if (block.basis.size() != size_t{block.rank} * block.width)
      return at(where, "a basis is not rank x width");
    const bool finite = std::all_of(block.basis.begin(), block.basis.end(),
                                    [](uint16_t b) { return (b & 0x7F80) != 0x7F80; });
    if (!finite) return at(where, "a basis element is not finite");
  }
  if (!codec.blocks.empty() && next != width)
    return at(where, "transform blocks do not cover every channel");
  return {};
}

Check validate_section(const std::string& where, const SectionCodec& codec, uint32_t width,
                       uint32_t levels) {
  if (!(codec.step > 0) || !std::isfinite(codec.step))
    return at(where, "step is not finite and positive");
  if (!(codec.rounding > 0 && codec.rounding <= 0.5f))
    return at(where, "rounding is not in (0, 0.5]");
  if (const Check ladder = validate_ladder(where, codec.drop_bits, levels); !ladder) return ladder;
  if (codec.mean.size() != width || codec.scale.size() != width)
    return at(where, "not one mean and scale a channel");
  if (!all_finite(codec.mean)) return at(where, "a mean is not finite");
  const bool positive =
      std::all_of(codec.scale.begin(), codec.scale.end(), [](float s) { return s > 0; });
  if (!positive || !all_finite(codec.scale)) return at(where, "a scale is not finite and positive");
  if (const Check blocks = validate_blocks(where, codec, width); !blocks) return blocks;
  const uint32_t coefficients = codec.coefficients();
  if (width > 0 && coefficients == 0) return at(where, "no coefficients");
  if (codec.order.size() != coefficients)
    return at(where, "the order has not one entry a coefficient");
  std::vector<bool> seen(coefficients);
  for (const uint32_t component : codec.order) {
    if (component >= coefficients || seen[component])
      return at(where, "the order is not a permutation");
    seen[component] = true;
  }
  return {};
}

Check validate_table(const std::string& where, const ProbabilityTable& table, size_t alphabet) {
  if (table.frequency.size() != alphabet) {
    return at(where, "a table of " + std::to_string(table.frequency.size()) +
                         " symbols, expected " + std::to_string(alphabet));
  }
  uint32_t sum = 0;
  for (const uint16_t frequency : table.frequency) sum += frequency;
  if (sum != kProbabilityScale)
    return at(where, "frequencies sum to " + std::to_string(sum) + ", expected 4096");
  return {};
}

Check validate_class(const std::string& where, const ScaleClass& scale_class, uint32_t passes) {
  const auto& base = scale_class.base.frequency;
  if (base.size() < 2 || base.size() > kMaxAlphabet || base.size() % 2 != 0) {
    return at(where, "base alphabet " + std::to_string(base.size()) +
                         ", expected an even number from 2 to 32");
  }
  if (const Check table = validate_table(where, scale_class.base, base.size()); !table)
    return table;
  const bool one_symbol = std::count(base.begin(), base.end(), kProbabilityScale) == 1;
  if (!one_symbol && base.back() == 0) return at(where, "the base table cannot code an escape");
  if (scale_class.passes.size() != passes)
    return at(where, "tables for another number of passes than the ladders need");
  for (const auto& contexts : scale_class.passes) {
    for (size_t context = 0; context < contexts.size(); ++context) {
      const Check table = validate_table(where, contexts[context], context == 0 ? 3 : 2);
      if (!table) return table;
    }
  }
  if (scale_class.reconstruction.size() != passes + size_t{1})
    return at(where, "not one reconstruction pair a pass, and one before");
  for (const auto& pair : scale_class.reconstruction) {
    for (const float fraction : pair) {
      if (!(fraction >= 0 && fraction < 1))
        return at(where, "a reconstruction fraction is not in [0, 1)");
    }
  }
  return {};
}

}  // namespace

uint32_t SectionCodec::coefficients() const {
  if (blocks.empty()) return static_cast<uint32_t>(mean.size());
  uint32_t sum = 0;
  for (const TransformBlock& block : blocks) sum += block.rank;
  return sum;
}

uint32_t Profile::sinks_in(TokenRange tokens) const {
  if (tokens.begin >= sink_tokens) return 0;
  return std::min(tokens.count, static_cast<uint32_t>(sink_tokens - tokens.begin));
}

uint32_t Profile::passes() const {
  uint32_t passes = 0;
  for (const SectionCodec& codec : sections) {
    if (!codec.drop_bits.empty()) passes = std::max<uint32_t>(passes, codec.drop_bits[0]);
  }
  return passes;
}

Check validate(const Profile& profile) {
  if (const Check geometry = validate_geometry(profile.geometry); !geometry) return geometry;
  if (profile.levels < 1 || profile.levels > kMaxLevels) return at("core", "levels are not 1 to 8");
  if (profile.sink_tokens > kMaxSinkTokens) return at("core", "more than 64 sink tokens");
  if (const Check ropes = validate_ropes(profile); !ropes) return ropes;
  if (const Check groups = validate_groups(profile); !groups) return groups;
  if (const Check agreement = validate_agreement(profile); !agreement) return agreement;
  if (profile.sections.size() != 2 * profile.groups.size())
    return at("core", "not two sections a transform group");
  for (uint32_t group = 0; group < profile.groups.size(); ++group) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      const std::string where =
          "group " + std::to_string(group) + (side == Side::kKey ? " keys" : " values");
      const Check section = validate_section(where, profile.section(group, side),
                                             profile.section_width(group, side), profile.levels);
      if (!section) return section;
    }
  }
  if (profile.classes.empty() || profile.classes.size() > kMaxClasses)
    return at("classes", "not 1 to 64 classes");
  for (size_t i = 0; i < profile.classes.size(); ++i) {
    const Check checked =
        validate_class("class " + std::to_string(i), profile.classes[i], profile.passes());
    if (!checked) return checked;
  }
  return {};
}

}  // namespace kvcast::kernels
