#include "tools/engine/tokenize/tables.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "tools/engine/config.h"
#include "tools/engine/load/fields.h"
#include "tools/engine/tokenize/byte_alphabet.h"

namespace kvcast::engine {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;
using nlohmann::json;

constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class TablesParser {
 public:
  TablesParser(const json& root, std::string_view name) : root_(root), name_(name) {}

  Result<TokenizerTables> parse() {
    Fields root(root_, name_);
    if (root.has("normalizer")) return fault("\"normalizer\" is set; this tokenizer has none");
    for (const auto& step : {&TablesParser::read_added, &TablesParser::read_vocabulary,
                             &TablesParser::read_merges, &TablesParser::read_options}) {
      if (Status status = (this->*step)(); !status.ok()) return status.error();
    }
    if (Status status = read_pre_tokenizer(root.value("pre_tokenizer")); !status.ok())
      return status.error();
    return std::move(tables_);
  }

 private:
  Error fault(const std::string& what) const {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name_, what)};
  }

  void name_token(uint32_t id, const std::string& bytes) {
    if (id >= tables_.bytes.size()) tables_.bytes.resize(id + 1);
    tables_.bytes[id] = bytes;
  }

  static std::optional<uint32_t> token_id(const json& value) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() >= kMaxVocabulary) return std::nullopt;
    return static_cast<uint32_t>(value.get<uint64_t>());
  }

  Status read_added() {
    for (const json& entry : root_.value("added_tokens", json::array())) {
      Fields fields(entry, name_ + ": added_tokens");
      const std::optional<uint32_t> id = token_id(fields.value("id"));
      const std::string text = fields.text("content", "");
      if (!id || text.empty())
        return fault("added_tokens: an entry without a usable \"id\" or \"content\"");
      for (const char* key : {"single_word", "lstrip", "rstrip"}) {
        if (fields.flag(key, false))
          return fault(fmt::format("added token {}: \"{}\" is not supported", text, key));
      }
      if (Status status = fields.status(); !status.ok()) return status;
      tables_.added.push_back({text, *id});
      name_token(*id, text);
    }
    return {};
  }

  bool is_added(uint32_t id) const {
    for (const AddedToken& token : tables_.added) {
      if (token.id == id) return true;
    }
    return false;
  }

  Status read_vocabulary() {
    const json model = root_.value("model", json::object());
    if (!model.is_object() || model.value("type", json()) != "BPE")
      return fault("\"model\" is not of type BPE");
    const json vocabulary = model.value("vocab", json::object());
    if (!vocabulary.is_object()) return fault("\"model.vocab\" is not an object");
    for (const auto& [entry, value] : vocabulary.items()) {
      const std::optional<uint32_t> id = token_id(value);
      if (!id) return fault(fmt::format("model.vocab: \"{}\" has id {}", entry, value.dump()));
      if (is_added(*id)) continue;
      const std::optional<std::string> bytes = bytes_of_entry(entry);
      if (!bytes) return fault(fmt::format("model.vocab: \"{}\" is not byte-level", entry));
      tables_.vocabulary.emplace(*bytes, *id);
      name_token(*id, *bytes);
    }
    for (int byte = 0; byte < 256; ++byte) {
      const auto found = tables_.vocabulary.find(std::string(1, static_cast<char>(byte)));
      if (found == tables_.vocabulary.end())
        return fault(fmt::format("model.vocab has no token for byte {}", byte));
      tables_.merges.byte_token[static_cast<size_t>(byte)] = found->second;
    }
    return {};
  }

  // "a b", or ["a", "b"] in newer files.
  static std::optional<std::pair<std::string, std::string>> merge_pair(const json& merge) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      return std::pair{merge[0].get<std::string>(), merge[1].get<std::string>()};
    }
    if (!merge.is_string()) return std::nullopt;
    const std::string text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (space == std::string::npos) return std::nullopt;
    return std::pair{text.substr(0, space), text.substr(space + 1)};
  }

  std::optional<uint32_t> id_of(const std::string& bytes) const {
    const auto found = tables_.vocabulary.find(bytes);
    return found == tables_.vocabulary.end() ? std::nullopt : std::optional(found->second);
  }

  Status read_merges() {
    const json merges = root_["model"].value("merges", json::array());
    if (!merges.is_array()) return fault("\"model.merges\" is not a list");
    uint32_t rank = 0;
    for (const json& merge : merges) {
      const auto pair = merge_pair(merge);
      const auto left = pair ? bytes_of_entry(pair->first) : std::nullopt;
      const auto right = pair ? bytes_of_entry(pair->second) : std::nullopt;
      const auto a = left ? id_of(*left) : std::nullopt, b = right ? id_of(*right) : std::nullopt;
      const auto merged = a && b ? id_of(*left + *right) : std::nullopt;
      if (!merged)
        return fault(fmt::format("model.merges[{}]: {} names no tokens", rank, merge.dump()));
      tables_.merges.merges.emplace(MergeTable::pair_key(*a, *b), Merge{rank, *merged});
      ++rank;
    }
    return {};
  }

  Status read_options() {
    Fields model(root_["model"], name_ + ": model");
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
      const json& value = model.value(key);
      if (!value.is_null() && value != "")
        return fault(fmt::format("\"model.{}\" is not supported", key));
    }
    tables_.whole_pieces_first = model.flag("ignore_merges", false);
    return model.status();
  }

  Status add_pattern(const std::string& pattern) {
    Result<SplitPattern> compiled = SplitPattern::compile(pattern, name_);
    if (!compiled.ok()) return compiled.error();
    tables_.patterns.push_back(std::move(*compiled));
    return {};
  }

  Status read_pre_tokenizer(const json& pre_tokenizer) {
    Fields fields(pre_tokenizer, name_ + ": pre_tokenizer");
    if (fields.text("type", "") != "Sequence") return read_step(fields);
    for (const json& inner : fields.value("pretokenizers")) {
      Fields step(inner, name_ + ": pre_tokenizer");
      if (Status status = read_step(step); !status.ok()) return status;
    }
    return fields.status();
  }

  Status read_step(Fields& step) {
    const std::string type = step.text("type", "");
    if (type == "Split") return read_split(step);
    if (type != "ByteLevel") {
      return fault(fmt::format(
          "pre_tokenizer \"{}\" is not supported: Split, ByteLevel and a Sequence of them are",
          type));
    }
    const bool prefix_space = step.flag("add_prefix_space", false),
               use_regex = step.flag("use_regex", true);
    if (prefix_space)
      return fault("pre_tokenizer ByteLevel: \"add_prefix_space\" is not supported");
    if (Status status = step.status(); !status.ok() || !use_regex) return status;
    return add_pattern(kGpt2Pattern);
  }

  Status read_split(Fields& fields) {
    const std::string behavior = fields.text("behavior", "");
    if (behavior != "Isolated" || fields.flag("invert", false)) {
      return fault(fmt::format(
          "pre_tokenizer Split: behavior \"{}\" or \"invert\" is not supported: Isolated is",
          behavior));
    }
    Fields pattern(fields.value("pattern"), name_ + ": pre_tokenizer: pattern");
    if (!pattern.has("Regex"))
      return fault("pre_tokenizer Split: only a \"Regex\" pattern is supported");
    const std::string regex = pattern.text("Regex", "");
    if (Status status = pattern.status(); !status.ok()) return status;
    return add_pattern(regex);
  }

  const json& root_;
  std::string name_;
  TokenizerTables tables_;
};

}  // namespace

Result<TokenizerTables> parse_tokenizer_tables(std::string_view text, std::string_view name) {
  Result<json> root = parse_json_object(text, name);
  if (!root.ok()) return root.error();
  return TablesParser(*root, name).parse();
}

}  // namespace kvcast::engine
