#define PCRE2_CODE_UNIT_WIDTH 8
#include "tools/engine/tokenize/split_pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <new>

#include "tools/engine/utf8.h"

namespace kvcast::engine {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

// Out of memory is no fault of the pattern or the text.
std::string pcre2_message(int code) {
  if (code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
  PCRE2_UCHAR text[256];
  const int length = pcre2_get_error_message(code, text, sizeof text);
  return length < 0 ? fmt::format("error {}", code)
                    : std::string(reinterpret_cast<const char*>(text));
}

struct FreeMatch {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

}  // namespace

struct SplitPattern::Code {
  explicit Code(pcre2_code* code) : compiled(code) {}
  ~Code() { pcre2_code_free(compiled); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  pcre2_code* compiled;
};

Result<SplitPattern> SplitPattern::compile(const std::string& pattern, std::string_view name) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                       PCRE2_UTF | PCRE2_UCP, &code, &offset, nullptr);
  if (compiled == nullptr) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: regular expression \"{}\", offset {}: {}",
                                                  name, pattern, offset, pcre2_message(code))};
  }
  SplitPattern split;
  split.code_ = std::make_shared<const Code>(compiled);
  return split;
}

Status SplitPattern::split(std::string_view text, std::vector<std::string_view>& pieces) const {
  const std::unique_ptr<pcre2_match_data, FreeMatch> match(
      pcre2_match_data_create_from_pattern(code_->compiled, nullptr));
  if (match == nullptr) throw std::bad_alloc();
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
  size_t piece_begin = 0, search_from = 0;
  while (search_from < text.size()) {
    const int found =
        pcre2_match(code_->compiled, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    search_from, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      return Error{ErrorKind::kCorrupt, fmt::format("splitting text for the tokenizer, byte {}: {}",
                                                    search_from, pcre2_message(found))};
    }
    if (range[1] <= range[0]) {  // an empty match isolates nothing
      search_from = range[0] + utf8_character_bytes(text.substr(range[0]));
      if (search_from <= range[0]) break;
      continue;
    }
    if (range[0] > piece_begin) pieces.push_back(text.substr(piece_begin, range[0] - piece_begin));
    pieces.push_back(text.substr(range[0], range[1] - range[0]));
    piece_begin = search_from = range[1];
  }
  if (piece_begin < text.size()) pieces.push_back(text.substr(piece_begin));
  return {};
}

}  // namespace kvcast::engine
