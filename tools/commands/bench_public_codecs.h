// Codecs of other projects, to compare with. Those whose libraries the build did not find are left
// out.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace kvcast::tools {

struct PublicCodec {
  std::string name;
  std::function<std::vector<uint8_t>(std::span<const uint8_t>)> compress;
  std::function<void(std::span<const uint8_t>, std::span<uint8_t>)> decompress;
};

std::vector<PublicCodec> public_codecs();
std::string absent_codecs();  // their names; empty where none is absent

}  // namespace kvcast::tools
