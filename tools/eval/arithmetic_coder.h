// How long a stream of torchac's arithmetic coder is, bit for bit, without keeping the bits: 32-bit
// range, 16-bit CDFs, pending bits (torchac_kernel_enc_new.cu of CacheGen; Witten, Neal & Cleary
// 1987).
#pragma once

#include <cstdint>
#include <span>

namespace kvcast::eval {

// cdf: [symbols + 1], ascending from 0, the last being 65,536. Bytes of the flushed stream.
uint64_t arithmetic_coded_bytes(std::span<const uint8_t> symbols, std::span<const uint32_t> cdf);

}  // namespace kvcast::eval
