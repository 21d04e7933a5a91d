// Tokenizer files, and arbitrary text through the pocket model's tokenizer.
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/expect.h"
#include "tools/engine/config.h"
#include "tools/engine/tokenizer.h"

namespace {

using kvcast::engine::Tokenizer;

const Tokenizer& pocket_tokenizer() {
  static const Tokenizer tokenizer = [] {
    std::ifstream in(KVCAST_SOURCE_DIR "/tests/data/pocket-lm/tokenizer.json");
    return *Tokenizer::parse(std::string(std::istreambuf_iterator<char>(in), {}), "pocket-lm");
  }();
  return tokenizer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvcast::fuzz::expect;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto ids = pocket_tokenizer().encode(text);
  if (ids) expect(pocket_tokenizer().decode(*ids) == text, "text survives its tokens");
  if (const auto tokenizer = Tokenizer::parse(text, "input")) {
    if (const auto some = tokenizer->encode("a b\xFF 12")) tokenizer->decode(*some);
  }
  if (const auto config = kvcast::engine::parse_config(text, "input")) {
    expect(config->layers > 0 && config->head_dim > 0, "a model has layers and heads");
  }
  return 0;
}
