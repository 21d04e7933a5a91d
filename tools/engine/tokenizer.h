// Byte-level BPE as Hugging Face's tokenizer.json describes it (GPT-2, Llama 3, the pocket model):
// added tokens are cut out, the rest is split by the file's regular expressions (PCRE2), each piece
// is merged by rank (Sennrich et al. 2016). What the file asks for beyond that (normalizers, other
// pre-tokenizers, ...) is refused by name. Its post-processor is not applied: callers put the
// model's first token in front themselves.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::engine {

inline constexpr uint64_t kMaxTokenizerBytes = 128u << 20;  // Llama 3's is 9 MB, Gemma 3's 33 MB

struct TokenizerTables;

// Immutable; copies share their tables; any number of threads may use one.
class Tokenizer {
 public:
  // `name` (the file) opens error messages.
  static manifests::Result<Tokenizer> parse(std::string_view json, std::string_view name);

  // Any bytes: what is not UTF-8 becomes byte tokens, so decode(encode(text)) == text. kCorrupt if
  // a regular expression gives up (PCRE2's match limits).
  manifests::Result<std::vector<uint32_t>> encode(std::string_view text) const;

  // The tokens' bytes, added tokens by their text, ids without a token as nothing. May end within a
  // UTF-8 character.
  std::string decode(std::span<const uint32_t> tokens) const;

 private:
  std::shared_ptr<const TokenizerTables> tables_;
};

}  // namespace kvcast::engine
