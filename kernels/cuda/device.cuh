// What kernels ask of the machine, in two forms: compiled by nvcc these are intrinsics; by a host
// compiler, the calls of kernels/cuda/emulation.h, which runs threads as fibres. Kernels are
// functors written against this alone, so that their very source is tested without a GPU.
// Everything in a .cuh has internal linkage: both forms may be linked into one program.
//
// Lanes of a warp call ballot(), shuffle(), sync_warp(), ldmatrix() and mma() together, all 32.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define KVCAST_DEVICE __device__ __forceinline__
#define KVCAST_UNROLL _Pragma("unroll")
#else
#include "kernels/cuda/emulation.h"
#define KVCAST_DEVICE inline
#define KVCAST_UNROLL
#endif

namespace kvcast::kernels {
namespace {

constexpr uint32_t kWarpLanes = 32;

struct alignas(16) Bytes16 {
  uint32_t word[4];
};

#ifdef __CUDACC__

KVCAST_DEVICE uint32_t thread_index() {
  return threadIdx.x;
}
KVCAST_DEVICE uint32_t block_index() {
  return blockIdx.x;
}
KVCAST_DEVICE uint32_t block_count() {
  return gridDim.x;
}
KVCAST_DEVICE uint32_t lane_index() {
  return threadIdx.x % kWarpLanes;
}
KVCAST_DEVICE std::byte* shared_memory() {
  extern __shared__ __align__(128) std::byte memory[];
  return memory;
}

KVCAST_DEVICE uint32_t ballot(bool value) {
  return __ballot_sync(0xFFFFFFFF, value);
}
KVCAST_DEVICE bool any(bool value) {
  return __any_sync(0xFFFFFFFF, value);
}
KVCAST_DEVICE uint32_t shuffle(uint32_t value, uint32_t lane) {
  return __shfl_sync(0xFFFFFFFF, value, static_cast<int>(lane));
}
KVCAST_DEVICE void sync_warp() {
  __syncwarp();
}
KVCAST_DEVICE void sync_block() {
  __syncthreads();
}
KVCAST_DEVICE uint32_t count_ones(uint32_t bits) {
  return static_cast<uint32_t>(__popc(bits));
}
// `bits` moved up by one, the top bit of `word` below them.
KVCAST_DEVICE uint32_t append_top_bit(uint32_t bits, uint32_t word) {
  return __funnelshift_l(word, bits, 1);
}
KVCAST_DEVICE uint32_t lanes_below() {
  uint32_t mask;
  asm("mov.u32 %0, %%lanemask_lt;" : "=r"(mask));
  return mask;
}
KVCAST_DEVICE void atomic_or(uint32_t* at, uint32_t bits) {
  atomicOr(at, bits);
}
KVCAST_DEVICE void atomic_add(uint32_t* at, uint32_t count) {
  atomicAdd(at, count);
}

// One rounding an operation, never fused: bit-exact with the host.
KVCAST_DEVICE float add(float a, float b) {
  return __fadd_rn(a, b);
}
KVCAST_DEVICE float subtract(float a, float b) {
  return __fsub_rn(a, b);
}
KVCAST_DEVICE float multiply(float a, float b) {
  return __fmul_rn(a, b);
}
KVCAST_DEVICE float divide(float a, float b) {
  return __fdiv_rn(a, b);
}
KVCAST_DEVICE float fuse(float a, float b, float c) {
  return __fmaf_rn(a, b, c);
}
KVCAST_DEVICE double add(double a, double b) {
  return __dadd_rn(a, b);
}
KVCAST_DEVICE double subtract(double a, double b) {
  return __dsub_rn(a, b);
}
KVCAST_DEVICE double multiply(double a, double b) {
  return __dmul_rn(a, b);
}
KVCAST_DEVICE float to_float(uint32_t value) {
  return __uint2float_rn(value);
}
KVCAST_DEVICE float to_float(double value) {
  return __double2float_rn(value);
}
KVCAST_DEVICE uint32_t bits_of(float value) {
  return __float_as_uint(value);
}
KVCAST_DEVICE float float_of(uint32_t bits) {
  return __uint_as_float(bits);
}

// Global memory that no kernel of the launch writes, read once.
KVCAST_DEVICE Bytes16 load_once(const void* from) {
  const uint4 words = __ldcs(static_cast<const uint4*>(from));
  return {{words.x, words.y, words.z, words.w}};
}
// Written once, read by others much later or never.
KVCAST_DEVICE void store_once(void* to, const Bytes16& bytes) {
  __stcs(static_cast<uint4*>(to),
         make_uint4(bytes.word[0], bytes.word[1], bytes.word[2], bytes.word[3]));
}

// Starts to copy 16 bytes, of which those from `count` on become zero, to shared memory; both
// addresses are multiples of 16. A thread's copies of a batch are there once it waits for all but
// the latest `kLater` batches; the block's, after sync_block().
KVCAST_DEVICE void copy_ahead(void* to_shared, const void* from, uint32_t count) {
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(to_shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(count)
               : "memory");
}
KVCAST_DEVICE void end_batch() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int kLater>
KVCAST_DEVICE void wait_for_batches() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLater) : "memory");
}

// Four 8 x 8 matrices of 16-bit elements from shared memory: lane 8 m + r names row r of matrix m.
KVCAST_DEVICE void ldmatrix(uint32_t (&fragments)[4], const void* row) {
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragments[0]), "=r"(fragments[1]), "=r"(fragments[2]), "=r"(fragments[3])
               : "r"(from)
               : "memory");
}
// sums += a * b: 16 x 16 by 16 x 8 elements of bf16, fragments as PTX lays out m16n8k16.
KVCAST_DEVICE void mma(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#else

using namespace emulation;  // NOLINT: the same names

inline Bytes16 load_once(const void* from) {
  return *static_cast<const Bytes16*>(from);
}
inline void store_once(void* to, const Bytes16& bytes) {
  *static_cast<Bytes16*>(to) = bytes;
}

#endif

KVCAST_DEVICE uint32_t warp_index() {
  return thread_index() / kWarpLanes;
}

template <typename T>
KVCAST_DEVICE const T* at(const std::byte* image, uint64_t offset) {
  return reinterpret_cast<const T*>(image + offset);
}
template <typename T>
KVCAST_DEVICE T* at(std::byte* memory, uint64_t offset) {
  return reinterpret_cast<T*>(memory + offset);
}

}  // namespace
}  // namespace kvcast::kernels
