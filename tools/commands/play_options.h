// What `kvcast play` is told.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "manifests/result.h"
#include "player/player.h"
#include "tools/commands/network_options.h"

namespace kvcast::tools {

struct PlayOptions {
  std::string url, store, tenant = "public", tokens, weights, adapter;
  std::string engine, suffix, out, report, reference, record;
  std::string device, layout = "paged";  // empty: host memory
  uint32_t max_sms = 0;
  player::PlayParams params;  // those that options set directly
  int max_level = -1;
  unsigned threads = 0;  // of the engine; 0: one per core
  uint32_t continue_tokens = 0;
  bool json = false;
  int patience_ms = 250;
  std::optional<int> late_limit_ms;
  bool no_prior = false, no_cmcd = false;
  NetworkOptions network;

  bool raw() const { return url.ends_with(".safetensors"); }
};

void add_play_options(CLI::App& command, PlayOptions& options);

// Combinations that make no sense.
manifests::Status check_play_options(const PlayOptions& options);

}  // namespace kvcast::tools
