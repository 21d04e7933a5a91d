// What tokenizer.json says, ready for use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "manifests/result.h"
#include "tools/engine/tokenize/merges.h"
#include "tools/engine/tokenize/split_pattern.h"

namespace kvcast::engine {

struct AddedToken {
  std::string text;
  uint32_t id = 0;
};

struct TokenizerTables {
  std::vector<AddedToken> added;
  std::vector<SplitPattern> patterns;  // each splits the pieces of the one before
  MergeTable merges;
  bool whole_pieces_first = false;  // "ignore_merges": a piece in the vocabulary is that token
  std::unordered_map<std::string, uint32_t> vocabulary;  // bytes -> id, without added tokens
  std::vector<std::string> bytes;                        // [id], added tokens too
};

manifests::Result<TokenizerTables> parse_tokenizer_tables(std::string_view json,
                                                          std::string_view name);

}  // namespace kvcast::engine
