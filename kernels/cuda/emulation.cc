#include "kernels/cuda/emulation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "kernels/cuda/fibre.h"

namespace kvcast::kernels::emulation {
namespace {

constexpr uint32_t kLanes = 32;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulated kernel: %s\n", what);
  std::abort();
}

// Threads that wait for each other: a warp, or a block.
struct Group {
  uint32_t size = 0, arrived = 0, meetings = 0;
};

struct Copy {
  void* to;
  const void* from;
  uint32_t count;
};

struct Thread {
  Fibre fibre;
  std::vector<std::vector<Copy>> batches;  // the last one is open
};

struct Warp {
  Group group;
  Meeting meeting = Meeting::kSyncWarp;
  Brought brought[2][kLanes];  // by parity of the meeting: a lane may be one ahead of others
};

constexpr std::align_val_t kSharedAlignment{128};
struct FreeAligned {
  void operator()(std::byte* memory) const { ::operator delete(memory, kSharedAlignment); }
};

struct Block {
  uint32_t index = 0, count = 0;
  Group group;
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Warp> warps;
  std::unique_ptr<std::byte, FreeAligned> shared;
  uint32_t running = 0;
  bool moved = false;  // since the last look: some group met, or a thread ended
};

Block* block = nullptr;

// Until all of the group have come.
void meet(Group& group) {
  const uint32_t meeting = group.meetings;
  if (++group.arrived == group.size) {
    group.arrived = 0;
    ++group.meetings;
    block->moved = true;
    return;
  }
  Fibre& fibre = block->threads[block->running]->fibre;
  while (group.meetings == meeting) fibre.suspend();
}

void make_copies(const std::vector<Copy>& batch) {
  for (const Copy& copy : batch) {
    std::memset(copy.to, 0, 16);
    if (copy.count > 0) std::memcpy(copy.to, copy.from, copy.count);
  }
}

void run_block(std::mt19937& random, const std::function<void()>& body) {
  std::vector<uint32_t> order;
  for (uint32_t t = 0; t < block->threads.size(); ++t) {
    block->threads[t]->fibre.start(&body);
    block->threads[t]->batches.assign(1, {});
    order.push_back(t);
  }
  while (!order.empty()) {
    std::shuffle(order.begin(), order.end(), random);
    block->moved = false;
    std::erase_if(order, [](uint32_t t) {
      block->running = t;
      block->threads[t]->fibre.resume();
      const bool done = block->threads[t]->fibre.done();
      block->moved |= done;
      return done;
    });
    if (!block->moved && !order.empty()) fail("some threads wait for others that never come");
  }
}

}  // namespace

void run(uint32_t blocks, uint32_t threads, size_t shared_bytes,
         const std::function<void()>& body) {
  static std::mt19937 random(1);
  static std::vector<std::unique_ptr<Thread>> kept;  // stacks
  if (threads % kLanes != 0 || threads == 0) fail("not whole warps");
  Block emulated;
  while (kept.size() < threads) kept.push_back(std::make_unique<Thread>());
  for (uint32_t t = 0; t < threads; ++t) emulated.threads.push_back(std::move(kept[t]));
  for (uint32_t index = 0; index < blocks; ++index) {
    emulated.index = index;
    emulated.count = blocks;
    emulated.group = {threads, 0, 0};
    emulated.warps.assign(threads / kLanes, {});
    for (Warp& warp : emulated.warps) warp.group.size = kLanes;
    // Fresh memory of the exact size, with garbage in it.
    emulated.shared.reset(static_cast<std::byte*>(::operator new(shared_bytes, kSharedAlignment)));
    std::fill_n(emulated.shared.get(), shared_bytes, std::byte{0xA5});
    block = &emulated;
    run_block(random, body);
  }
  block = nullptr;
  for (uint32_t t = 0; t < threads; ++t) kept[t] = std::move(emulated.threads[t]);
}

uint32_t thread_index() {
  return block->running;
}
uint32_t block_index() {
  return block->index;
}
uint32_t block_count() {
  return block->count;
}
std::byte* shared_memory() {
  return block->shared.get();
}

const Brought* meet_warp(Meeting meeting, const Brought& brought) {
  Warp& warp = block->warps[block->running / kLanes];
  if (warp.group.arrived == 0) warp.meeting = meeting;
  if (warp.meeting != meeting) fail("lanes of a warp meet by different calls");
  Brought* const all = warp.brought[warp.group.meetings % 2];
  all[block->running % kLanes] = brought;
  meet(warp.group);
  return all;
}

void meet_block() {
  meet(block->group);
}

void copy_ahead(void* to_shared, const void* from, uint32_t count) {
  if (reinterpret_cast<uintptr_t>(to_shared) % 16 != 0 ||
      reinterpret_cast<uintptr_t>(from) % 16 != 0) {
    fail("a copy ahead is not aligned to 16 bytes");
  }
  block->threads[block->running]->batches.back().push_back({to_shared, from, count});
}

void end_batch() {
  block->threads[block->running]->batches.emplace_back();
}

void wait_for_all_but(uint32_t batches) {
  auto& open = block->threads[block->running]->batches;
  const size_t done = open.size() - 1 > batches ? open.size() - 1 - batches : 0;
  for (size_t i = 0; i < done; ++i) make_copies(open[i]);
  open.erase(open.begin(), open.begin() + static_cast<ptrdiff_t>(done));
}

void ldmatrix(uint32_t (&fragments)[4], const void* row) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fail("a row of ldmatrix is not aligned");
  Brought brought{};
  std::memcpy(brought.word, row, 16);
  const Brought* const rows = meet_warp(Meeting::kLdmatrix, brought);
  const uint32_t lane = lane_index();
  for (uint32_t m = 0; m < 4; ++m) fragments[m] = rows[8 * m + lane / 4].word[lane % 4];
}

namespace {

float element(uint32_t word, uint32_t half) {
  return std::bit_cast<float>((half ? word >> 16 : word & 0xFFFF) << 16);
}

}  // namespace

// PTX ISA, "Matrix fragments for mma.m16n8k16": with g = lane / 4 and t = lane % 4, register i of A
// holds row g + 8 (i % 2), columns 2 t + 8 (i / 2) and the next; register i of B rows 2 t + 8 i and
// the next, column g; sum i row g + 8 (i / 2), column 2 t + i % 2.
void mma(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const Brought* const all = meet_warp(Meeting::kMma, {{a[0], a[1], a[2], a[3], b0, b1}});
  const uint32_t g = lane_index() / 4, t = lane_index() % 4;
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t row = g + 8 * (i / 2), column = 2 * t + i % 2;
    for (uint32_t k = 0; k < 16; ++k) {
      const uint32_t of_a = row % 8 * 4 + k % 8 / 2, of_b = column * 4 + k % 8 / 2;
      const uint32_t register_a = row / 8 + 2 * (k / 8), register_b = 4 + k / 8;
      sums[i] +=
          element(all[of_a].word[register_a], k % 2) * element(all[of_b].word[register_b], k % 2);
    }
  }
}

}  // namespace kvcast::kernels::emulation
