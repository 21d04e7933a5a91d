// A thread a channel: tables of 128 channels in shared memory, bits from global memory.
#include <cuda_bf16.h>

#include <cstring>
#include <vector>

#include "kernels/gpu_check/arithmetic.h"
#include "kernels/gpu_check/peers.h"
#include "kernels/gpu_check/timing.cuh"

namespace kvcast::kernels::gpu_check {
namespace {

constexpr uint32_t kChannelsPerBlock = 128;

// Stream i is channel i % channels of piece i / channels; out: [piece][token][channel].
__global__ void __launch_bounds__(kChannelsPerBlock)
    decode_streams(const uint8_t* bytes_dev, const uint32_t* begin_dev, const uint16_t* tables_dev,
                   uint32_t alphabet, uint32_t tokens, uint32_t channels, __nv_bfloat16* out_dev) {
  __shared__ uint16_t tables[(kArithmeticAlphabet + 1) * kChannelsPerBlock];
  const uint32_t stream = blockIdx.x * kChannelsPerBlock + threadIdx.x;
  const uint32_t channel = stream % channels;
  for (uint32_t i = 0; i < alphabet; ++i) {
    tables[i * kChannelsPerBlock + threadIdx.x] = tables_dev[size_t{channel} * alphabet + i];
  }
  const uint8_t* bytes = bytes_dev + begin_dev[stream];
  const uint32_t size = begin_dev[stream + 1] - begin_dev[stream];
  // The last entry, 65536, does not fit.
  const auto table = [&](uint32_t i) {
    return i == alphabet ? 65536u : uint32_t{tables[i * kChannelsPerBlock + threadIdx.x]};
  };
  ArithmeticState state = start_arithmetic(bytes, size);
  __nv_bfloat16* to = out_dev + size_t{stream / channels} * tokens * channels + channel;
  for (uint32_t t = 0; t < tokens; ++t) {
    const uint32_t symbol = decode_symbol(state, bytes, size, alphabet, table);
    const float value = (static_cast<float>(symbol) - static_cast<float>(alphabet / 2)) * 0.125f;
    to[size_t{t} * channels] = __float2bfloat16(value);
  }
}

// Streams of one piece of at most kArithmeticTokens tokens after the other.
struct Streams {
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> begin{0};
  std::vector<uint16_t> tables;  // [channel][alphabet]
};

Streams encode(const Symbols& symbols) {
  Streams streams;
  std::vector<Cumulative> tables;
  std::vector<uint8_t> channel(symbols.tokens);
  for (uint32_t c = 0; c < symbols.channels; ++c) {
    for (uint32_t t = 0; t < symbols.tokens; ++t) {
      channel[t] = symbols.values[size_t{t} * symbols.channels + c];
    }
    tables.push_back(cumulative_of(channel, symbols.alphabet));
    for (uint32_t i = 0; i < symbols.alphabet; ++i) {
      streams.tables.push_back(static_cast<uint16_t>(tables.back()[i]));
    }
  }
  channel.resize(kArithmeticTokens);
  for (uint32_t piece = 0; piece < symbols.tokens; piece += kArithmeticTokens) {
    for (uint32_t c = 0; c < symbols.channels; ++c) {
      for (uint32_t t = 0; t < kArithmeticTokens; ++t) {
        channel[t] = symbols.values[size_t{piece + t} * symbols.channels + c];
      }
      const std::vector<uint8_t> stream = encode_arithmetic(channel, tables[c]);
      streams.bytes.insert(streams.bytes.end(), stream.begin(), stream.end());
      streams.begin.push_back(static_cast<uint32_t>(streams.bytes.size()));
    }
  }
  return streams;
}

void check(const Symbols& symbols, const __nv_bfloat16* out_dev) {
  std::vector<__nv_bfloat16> out(symbols.values.size());
  require(cudaMemcpy(out.data(), out_dev, out.size() * sizeof(out[0]), cudaMemcpyDeviceToHost),
          "cudaMemcpy");
  for (size_t i = 0; i < out.size(); ++i) {
    const float expected =
        (static_cast<float>(symbols.values[i]) - static_cast<float>(symbols.alphabet / 2)) / 8;
    if (__bfloat162float(out[i]) != expected) {
      throw std::runtime_error("the arithmetic decoder gives a wrong value");
    }
  }
}

}  // namespace

Rate decode_with_arithmetic(const Symbols& symbols, uint32_t copies, int runs) {
  if (symbols.tokens % kArithmeticTokens != 0 || symbols.channels % kChannelsPerBlock != 0 ||
      symbols.alphabet > kArithmeticAlphabet) {
    throw std::runtime_error("the arithmetic decoder takes no such shape");
  }
  const Streams once = encode(symbols);
  const auto tables_dev = to_device<uint16_t>(once.tables);
  const auto begin_dev = to_device<uint32_t>(once.begin);
  std::vector<DeviceArray<uint8_t>> bytes_dev;
  for (uint32_t i = 0; i < copies; ++i) bytes_dev.push_back(to_device<uint8_t>(once.bytes));
  const size_t elements = symbols.values.size();
  const auto out_dev = device_array<__nv_bfloat16>(elements * copies);
  const auto blocks = static_cast<uint32_t>((once.begin.size() - 1) / kChannelsPerBlock);
  const double seconds = least_seconds(runs, [&](cudaStream_t stream) {
    for (uint32_t i = 0; i < copies; ++i) {
      decode_streams<<<blocks, kChannelsPerBlock, 0, stream>>>(
          bytes_dev[i].get(), begin_dev.get(), tables_dev.get(), symbols.alphabet,
          kArithmeticTokens, symbols.channels, out_dev.get() + i * elements);
    }
  });
  for (const uint32_t i : {0u, copies - 1}) check(symbols, out_dev.get() + i * elements);
  return {"arithmetic decoder, a thread a channel", 2.0 * elements * copies,
          static_cast<double>(once.bytes.size()) * copies, seconds, "bf16 out, contiguous"};
}

}  // namespace kvcast::kernels::gpu_check
