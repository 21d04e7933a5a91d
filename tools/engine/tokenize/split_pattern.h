// A regular expression that isolates its matches: every match and every gap between matches becomes
// a piece. PCRE2 with UTF and Unicode classes, which reads the patterns of tokenizer.json as
// Oniguruma does in the reference.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::engine {

class SplitPattern {
 public:
  // `name` (the file) opens the error message.
  static manifests::Result<SplitPattern> compile(const std::string& pattern, std::string_view name);

  // Appends the pieces of `text`, valid UTF-8, to `pieces`; they point into `text`.
  manifests::Status split(std::string_view text, std::vector<std::string_view>& pieces) const;

 private:
  struct Code;  // PCRE2's
  std::shared_ptr<const Code> code_;
};

}  // namespace kvcast::engine
