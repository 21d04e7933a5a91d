#include "tools/commands/bench_public_codecs.h"

namespace kvcast::tools {

std::vector<PublicCodec> public_codecs() {
  return {};
}

std::string absent_codecs() {
  return "htscodecs, zstd and lz4 (built without libhtscodecs-dev, libzstd-dev and liblz4-dev)";
}

}  // namespace kvcast::tools
