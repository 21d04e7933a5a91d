// nvCOMP (NVIDIA, closed source): a peer to measure, never linked into anything else.
#include <cuda_bf16.h>
#include <nvcomp/ans.h>

#include <string>
#include <vector>

#include "kernels/gpu_check/peers.h"
#include "kernels/gpu_check/timing.cuh"

namespace kvcast::kernels::gpu_check {
namespace {

constexpr size_t kChunkBytes = 64 << 10;  // what its manual advises

void require(nvcompStatus_t status, const char* call) {
  if (status != nvcompSuccess) {
    throw std::runtime_error(std::string(call) + ": nvCOMP status " + std::to_string(status));
  }
}
using gpu_check::require;

// 16 symbols a thread.
__global__ void dequantise(const uint8_t* symbols_dev, size_t count, float middle,
                           __nv_bfloat16* out_dev) {
  const size_t i = 16 * (size_t{blockIdx.x} * blockDim.x + threadIdx.x);
  if (i >= count) return;
  const uint4 packed = *reinterpret_cast<const uint4*>(symbols_dev + i);
  const uint8_t* symbols = reinterpret_cast<const uint8_t*>(&packed);
  __align__(16) __nv_bfloat16 values[16];
#pragma unroll
  for (int k = 0; k < 16; ++k) {
    values[k] = __float2bfloat16((static_cast<float>(symbols[k]) - middle) * 0.125f);
  }
  uint4* to = reinterpret_cast<uint4*>(out_dev + i);
  to[0] = reinterpret_cast<const uint4*>(values)[0];
  to[1] = reinterpret_cast<const uint4*>(values)[1];
}

// One symbol a byte, cut into chunks, in as many copies as are decoded.
struct Compressed {
  size_t chunks = 0, slot_bytes = 0, bytes = 0;
  DeviceArray<uint8_t> slots_dev;
  DeviceArray<const void*> chunks_dev;  // pointers
  DeviceArray<size_t> sizes_dev, raw_sizes_dev;
};

Compressed compress(const uint8_t* raw_dev, size_t raw_bytes) {
  Compressed made;
  made.chunks = raw_bytes / kChunkBytes;
  const auto options = nvcompBatchedANSCompressDefaultOpts;
  require(nvcompBatchedANSCompressGetMaxOutputChunkSize(kChunkBytes, options, &made.slot_bytes),
          "nvcompBatchedANSCompressGetMaxOutputChunkSize");
  made.slot_bytes = (made.slot_bytes + 255) / 256 * 256;
  size_t temp_bytes = 0;
  require(nvcompBatchedANSCompressGetTempSize(made.chunks, kChunkBytes, options, &temp_bytes,
                                              raw_bytes, nullptr),
          "nvcompBatchedANSCompressGetTempSize");
  made.slots_dev = device_array<uint8_t>(made.slot_bytes * made.chunks);
  std::vector<const void*> raw(made.chunks), slots(made.chunks);
  for (size_t i = 0; i < made.chunks; ++i) {
    raw[i] = raw_dev + i * kChunkBytes;
    slots[i] = made.slots_dev.get() + i * made.slot_bytes;
  }
  const std::vector<size_t> raw_sizes(made.chunks, kChunkBytes);
  const auto raw_chunks_dev = to_device<const void*>(raw);
  made.chunks_dev = to_device<const void*>(slots);
  made.raw_sizes_dev = to_device<size_t>(raw_sizes);
  made.sizes_dev = device_array<size_t>(made.chunks);
  const auto temp_dev = device_array<uint8_t>(temp_bytes);
  require(nvcompBatchedANSCompressAsync(raw_chunks_dev.get(), made.raw_sizes_dev.get(), kChunkBytes,
                                        made.chunks, temp_dev.get(), temp_bytes,
                                        const_cast<void* const*>(made.chunks_dev.get()),
                                        made.sizes_dev.get(), options, nullptr, nullptr),
          "nvcompBatchedANSCompressAsync");
  std::vector<size_t> sizes(made.chunks);
  require(cudaMemcpy(sizes.data(), made.sizes_dev.get(), sizes.size() * sizeof(size_t),
                     cudaMemcpyDeviceToHost),
          "cudaMemcpy");
  for (const size_t size : sizes) made.bytes += size;
  return made;
}

void check(const Symbols& symbols, const __nv_bfloat16* out_dev, size_t count) {
  std::vector<__nv_bfloat16> out(count);
  require(cudaMemcpy(out.data(), out_dev, count * sizeof(out[0]), cudaMemcpyDeviceToHost),
          "cudaMemcpy");
  for (size_t i = 0; i < count; ++i) {
    const float expected = (static_cast<float>(symbols.values[i % symbols.values.size()]) -
                            static_cast<float>(symbols.alphabet / 2)) /
                           8;
    if (__bfloat162float(out[i]) != expected) {
      throw std::runtime_error("nvCOMP's ANS gives a wrong value");
    }
  }
}

}  // namespace

std::optional<Rate> decode_with_nvcomp(const Symbols& symbols, uint32_t copies, int runs) {
  const size_t once = symbols.values.size(), raw_bytes = once * copies;
  if (raw_bytes % kChunkBytes != 0) throw std::runtime_error("nvCOMP: no whole chunks");
  const auto raw_dev = device_array<uint8_t>(raw_bytes);
  for (uint32_t i = 0; i < copies; ++i) {
    require(
        cudaMemcpy(raw_dev.get() + i * once, symbols.values.data(), once, cudaMemcpyHostToDevice),
        "cudaMemcpy");
  }
  const Compressed compressed = compress(raw_dev.get(), raw_bytes);
  require(cudaMemset(raw_dev.get(), 0, raw_bytes), "cudaMemset");
  std::vector<void*> raw(compressed.chunks);
  for (size_t i = 0; i < raw.size(); ++i) raw[i] = raw_dev.get() + i * kChunkBytes;
  const auto raw_chunks_dev = to_device<void*>(raw);
  const auto options = nvcompBatchedANSDecompressDefaultOpts;
  size_t temp_bytes = 0;
  require(nvcompBatchedANSDecompressGetTempSize(compressed.chunks, kChunkBytes, options,
                                                &temp_bytes, raw_bytes, nullptr),
          "nvcompBatchedANSDecompressGetTempSize");
  const auto temp_dev = device_array<uint8_t>(temp_bytes);
  const auto actual_dev = device_array<size_t>(compressed.chunks);
  const auto out_dev = device_array<__nv_bfloat16>(raw_bytes);
  const double seconds = least_seconds(runs, [&](cudaStream_t stream) {
    require(nvcompBatchedANSDecompressAsync(compressed.chunks_dev.get(), compressed.sizes_dev.get(),
                                            compressed.raw_sizes_dev.get(), actual_dev.get(),
                                            compressed.chunks, temp_dev.get(), temp_bytes,
                                            raw_chunks_dev.get(), options, nullptr, stream),
            "nvcompBatchedANSDecompressAsync");
    const auto blocks = static_cast<uint32_t>((raw_bytes / 16 + 255) / 256);
    dequantise<<<blocks, 256, 0, stream>>>(raw_dev.get(), raw_bytes,
                                           static_cast<float>(symbols.alphabet / 2), out_dev.get());
  });
  check(symbols, out_dev.get(), raw_bytes);
  return Rate{"nvCOMP ANS + dequantise", 2.0 * static_cast<double>(raw_bytes),
              static_cast<double>(compressed.bytes), seconds, "bf16 out, contiguous"};
}

}  // namespace kvcast::kernels::gpu_check
