// After the first token: the text the model goes on with, and how it compares with what it would
// have said from the uncompressed cache.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "tools/commands/play_engine.h"

namespace kvcast::tools {

// The engine's cache holds [0, begin + rest.size()); `logits` are of the last of them.
struct FirstToken {
  uint64_t begin = 0;
  std::vector<uint32_t> rest;
  std::vector<float> logits;
};

struct Continuation {
  std::string text;
  std::optional<double> mean_kl, top1_agreement;
};

// Generates `count` tokens (none: no text). `reference`, when given, is the KV file the
// presentation was packed from: distributions are compared over 64 tokens that it continues with.
manifests::Result<Continuation> continue_play(PlayEngine& engine, const FirstToken& first,
                                              uint32_t count, const std::string& reference);

}  // namespace kvcast::tools
