#include "tools/commands/bench_public_codecs.h"

#include <htscodecs/rANS_static4x16.h>
#include <lz4.h>
#include <zstd.h>

#include <stdexcept>

namespace kvcast::tools {
namespace {

using In = std::span<const uint8_t>;

std::vector<uint8_t> compress_rans(In in) {
  const auto size = static_cast<unsigned>(in.size());
  unsigned written = rans_compress_bound_4x16(size, RANS_ORDER_X32);
  std::vector<uint8_t> out(written);
  // The library reads its input through a pointer to what it does not change.
  if (!rans_compress_to_4x16(const_cast<uint8_t*>(in.data()), size, out.data(), &written,
                             RANS_ORDER_X32))
    throw std::runtime_error("htscodecs does not compress");
  out.resize(written);
  return out;
}

void decompress_rans(In in, std::span<uint8_t> out) {
  auto size = static_cast<unsigned>(out.size());
  if (!rans_uncompress_to_4x16(const_cast<uint8_t*>(in.data()), static_cast<unsigned>(in.size()),
                               out.data(), &size))
    throw std::runtime_error("htscodecs does not decompress");
}

std::vector<uint8_t> compress_zstd(In in) {
  std::vector<uint8_t> out(ZSTD_compressBound(in.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 1));
  return out;
}

void decompress_zstd(In in, std::span<uint8_t> out) {
  if (ZSTD_decompress(out.data(), out.size(), in.data(), in.size()) != out.size())
    throw std::runtime_error("zstd does not decompress");
}

std::vector<uint8_t> compress_lz4(In in) {
  std::vector<uint8_t> out(static_cast<size_t>(LZ4_compressBound(static_cast<int>(in.size()))));
  const int size = LZ4_compress_default(reinterpret_cast<const char*>(in.data()),
                                        reinterpret_cast<char*>(out.data()),
                                        static_cast<int>(in.size()), static_cast<int>(out.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

void decompress_lz4(In in, std::span<uint8_t> out) {
  if (LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()),
                          reinterpret_cast<char*>(out.data()), static_cast<int>(in.size()),
                          static_cast<int>(out.size())) != static_cast<int>(out.size()))
    throw std::runtime_error("lz4 does not decompress");
}

}  // namespace

std::vector<PublicCodec> public_codecs() {
  return {{"htscodecs 32x16", compress_rans, decompress_rans},
          {"zstd -1", compress_zstd, decompress_zstd},
          {"lz4", compress_lz4, decompress_lz4}};
}

std::string absent_codecs() {
  return {};
}

}  // namespace kvcast::tools
