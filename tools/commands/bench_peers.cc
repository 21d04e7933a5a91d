#include "tools/commands/bench_peers.h"

#include <memory>
#include <span>
#include <stdexcept>

#include "tools/commands/bench_public_codecs.h"

namespace kvcast::tools {
namespace {

// Signed bytes times a step, as bf16: what has to follow a codec of bytes. Compilers vectorise it;
// cloned for the newest instructions a CPU has.
#if defined(__x86_64__)
[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#endif
void dequantise(const uint8_t* __restrict symbols, size_t count, float step,
                uint16_t* __restrict bf16) {
  for (size_t i = 0; i < count; ++i) {
    const float value = step * static_cast<float>(static_cast<int8_t>(symbols[i]));
    const auto bits = __builtin_bit_cast(uint32_t, value);
    bf16[i] = static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }
}

struct Peer {
  PublicCodec codec;
  std::vector<uint8_t> symbols, compressed, restored;
  std::vector<uint16_t> bf16;
};

}  // namespace

void add_peers(const std::string& what, const std::vector<uint8_t>& symbols,
               std::vector<BenchCase>& cases) {
  for (const PublicCodec& codec : public_codecs()) {
    const auto peer = std::make_shared<Peer>(Peer{codec, symbols, codec.compress(symbols),
                                                  std::vector<uint8_t>(symbols.size()),
                                                  std::vector<uint16_t>(symbols.size())});
    codec.decompress(peer->compressed, peer->restored);
    if (peer->restored != symbols)
      throw std::logic_error(codec.name + " did not restore the symbols");
    const auto count = static_cast<double>(symbols.size());
    const double bits = 8.0 * static_cast<double>(peer->compressed.size()) / count;
    cases.push_back({what + ", decode to bytes", codec.name, count, count, bits,
                     [peer] { peer->codec.decompress(peer->compressed, peer->restored); }});
    cases.push_back({what + ", decode, then bf16", codec.name, count, 2 * count, bits, [peer] {
                       peer->codec.decompress(peer->compressed, peer->restored);
                       dequantise(peer->restored.data(), peer->restored.size(), 1.0f,
                                  peer->bf16.data());
                     }});
    cases.push_back({what + ", encode bytes", codec.name, count,
                     static_cast<double>(peer->compressed.size()), bits,
                     [peer] { (void)peer->codec.compress(peer->symbols); }});
  }
}

}  // namespace kvcast::tools
