// A stand-in for a GPU, for tests: runs a kernel's threads as fibres of one host thread, block
// after block. Between two meetings of a warp or block its threads run one by one in a random
// order, so that a missing barrier shows as a wrong result; a meeting that not all lanes come to,
// or that they come to by different calls, ends the program with a message. Copies ahead happen
// when they are waited for, not before. Out-of-bounds accesses are AddressSanitizer's to find.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

namespace kvcast::kernels::emulation {

// Blocks until all threads of all blocks have returned. `threads` is a multiple of 32.
void run(uint32_t blocks, uint32_t threads, size_t shared_bytes, const std::function<void()>& body);

uint32_t thread_index();
uint32_t block_index();
uint32_t block_count();
std::byte* shared_memory();

// What each lane brought to a meeting of its warp.
struct Brought {
  uint32_t word[6];
};
enum class Meeting { kBallot, kShuffle, kSyncWarp, kLdmatrix, kMma };
// [lane]; valid until this thread's next meeting.
const Brought* meet_warp(Meeting meeting, const Brought& brought);
void meet_block();

void copy_ahead(void* to_shared, const void* from, uint32_t count);
void end_batch();
void wait_for_all_but(uint32_t batches);

inline uint32_t lane_index() {
  return thread_index() % 32;
}
inline uint32_t ballot(bool value) {
  const Brought* const brought = meet_warp(Meeting::kBallot, {{value}});
  uint32_t mask = 0;
  for (uint32_t lane = 0; lane < 32; ++lane) mask |= brought[lane].word[0] << lane;
  return mask;
}
inline bool any(bool value) {
  return ballot(value) != 0;
}
inline uint32_t shuffle(uint32_t value, uint32_t lane) {
  return meet_warp(Meeting::kShuffle, {{value}})[lane % 32].word[0];
}
inline void sync_warp() {
  meet_warp(Meeting::kSyncWarp, {});
}
inline void sync_block() {
  meet_block();
}
inline uint32_t count_ones(uint32_t bits) {
  return static_cast<uint32_t>(std::popcount(bits));
}
inline uint32_t append_top_bit(uint32_t bits, uint32_t word) {
  return bits << 1 | word >> 31;
}
inline uint32_t lanes_below() {
  return (1u << lane_index()) - 1;
}
inline void atomic_or(uint32_t* at, uint32_t bits) {
  *at |= bits;
}
inline void atomic_add(uint32_t* at, uint32_t count) {
  *at += count;
}

// Compiled without contraction.
template <typename T>
T add(T a, T b) {
  return a + b;
}
template <typename T>
T subtract(T a, T b) {
  return a - b;
}
template <typename T>
T multiply(T a, T b) {
  return a * b;
}
inline float divide(float a, float b) {
  return a / b;
}
inline float fuse(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float to_float(uint32_t value) {
  return static_cast<float>(value);
}
inline float to_float(double value) {
  return static_cast<float>(value);
}
inline uint32_t bits_of(float value) {
  return std::bit_cast<uint32_t>(value);
}
inline float float_of(uint32_t bits) {
  return std::bit_cast<float>(bits);
}

void ldmatrix(uint32_t (&fragments)[4], const void* row);
void mma(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

template <int kLater>
void wait_for_batches() {
  wait_for_all_but(kLater);
}

}  // namespace kvcast::kernels::emulation
