#include "tools/engine/tokenizer.h"

#include <optional>
#include <unordered_map>

#include "tools/engine/tokenize/tables.h"
#include "tools/engine/utf8.h"

namespace kvcast::engine {
namespace {

using manifests::Result;
using manifests::Status;

// One call's work: tokens of words seen before are remembered.
class Encoder {
 public:
  explicit Encoder(const TokenizerTables& tables) : tables_(tables) {}

  Status encode(std::string_view text) {
    size_t begin = 0;
    while (const AddedToken* token = find_added(text, begin)) {
      if (Status status = encode_plain(text.substr(begin, added_at_ - begin)); !status.ok())
        return status;
      tokens_.push_back(token->id);
      begin = added_at_ + token->text.size();
    }
    return encode_plain(text.substr(begin));
  }
  std::vector<uint32_t> take() { return std::move(tokens_); }

 private:
  // The leftmost added token from `begin` on, the longest of those that start there; its place in
  // added_at_.
  const AddedToken* find_added(std::string_view text, size_t begin) {
    if (next_.empty()) next_.assign(tables_.added.size(), {});
    const AddedToken* best = nullptr;
    for (size_t i = 0; i < tables_.added.size(); ++i) {
      const AddedToken& token = tables_.added[i];
      if (!next_[i] || *next_[i] < begin) next_[i] = text.find(token.text, begin);
      if (*next_[i] == std::string_view::npos) continue;
      if (best == nullptr || *next_[i] < added_at_ ||
          (*next_[i] == added_at_ && token.text.size() > best->text.size())) {
        best = &token;
        added_at_ = *next_[i];
      }
    }
    return best;
  }

  Status encode_plain(std::string_view text) {
    while (!text.empty()) {
      const size_t valid = valid_utf8_bytes(text);
      if (Status status = encode_utf8(text.substr(0, valid)); !status.ok()) return status;
      text.remove_prefix(valid);
      if (text.empty()) break;
      merge_piece(tables_.merges, text.substr(0, 1), tokens_);  // a byte that is no UTF-8
      text.remove_prefix(1);
    }
    return {};
  }

  Status encode_utf8(std::string_view text) {
    if (text.empty()) return {};
    std::vector<std::string_view> pieces{text};
    for (const SplitPattern& pattern : tables_.patterns) {
      std::vector<std::string_view> finer;
      for (const std::string_view piece : pieces) {
        if (Status status = pattern.split(piece, finer); !status.ok()) return status;
      }
      pieces = std::move(finer);
    }
    for (const std::string_view piece : pieces) encode_piece(piece);
    return {};
  }

  void encode_piece(std::string_view piece) {
    const auto [seen, is_new] = pieces_.try_emplace(piece);
    if (is_new) {
      const auto whole = tables_.whole_pieces_first ? tables_.vocabulary.find(std::string(piece))
                                                    : tables_.vocabulary.end();
      if (whole != tables_.vocabulary.end()) {
        seen->second.push_back(whole->second);
      } else {
        merge_piece(tables_.merges, piece, seen->second);
      }
    }
    tokens_.insert(tokens_.end(), seen->second.begin(), seen->second.end());
  }

  const TokenizerTables& tables_;
  std::vector<uint32_t> tokens_;
  std::unordered_map<std::string_view, std::vector<uint32_t>> pieces_;
  std::vector<std::optional<size_t>> next_;  // [added token]: where it next occurs
  size_t added_at_ = 0;
};

}  // namespace

Result<Tokenizer> Tokenizer::parse(std::string_view json, std::string_view name) {
  Result<TokenizerTables> tables = parse_tokenizer_tables(json, name);
  if (!tables.ok()) return tables.error();
  Tokenizer tokenizer;
  tokenizer.tables_ = std::make_shared<const TokenizerTables>(std::move(*tables));
  return tokenizer;
}

Result<std::vector<uint32_t>> Tokenizer::encode(std::string_view text) const {
  Encoder encoder(*tables_);
  if (Status status = encoder.encode(text); !status.ok()) return status.error();
  return encoder.take();
}

std::string Tokenizer::decode(std::span<const uint32_t> tokens) const {
  std::string text;
  for (const uint32_t token : tokens) {
    if (token < tables_->bytes.size()) text += tables_->bytes[token];
  }
  return text;
}

}  // namespace kvcast::engine
