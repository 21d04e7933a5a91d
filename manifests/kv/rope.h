// Stated RoPE as JSON: manifests/kv_file_format.md, "rope". Internal.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "manifests/json/node.h"
#include "manifests/rope.h"

namespace kvcast::manifests {

inline constexpr size_t kMaxRopes = 254;  // kernels/profile_format.md

// One object, or a list of them for layers that differ. {"layout": "none"} alone: empty.
std::vector<StatedRope> read_ropes(const JsonNode& node, const RopedKeys& keys);
// What read_ropes reads back.
nlohmann::ordered_json ropes_json(std::span<const StatedRope> ropes);

// Whether layout, theta and rotary_dims say all there is to say.
bool is_plain(std::span<const StatedRope> ropes);

// LongRoPE has a factor for each frequency.
void check_factors(const JsonNode& node, const StatedRope& rope);

// Internal to the two readers. Nothing: the rule is the default, no scaling.
// `config`: what is around it, or the node again.
std::optional<RopeScaling> read_scaling(const JsonNode& node, const JsonNode& config,
                                        const RopedKeys& keys);
std::vector<StatedRope> read_config(const JsonNode& config, const std::string& layout,
                                    const RopedKeys& keys);

}  // namespace kvcast::manifests
