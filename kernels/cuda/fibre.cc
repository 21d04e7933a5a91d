#include "kernels/cuda/fibre.h"

#include <cstdint>
#include <cstring>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace kvcast::kernels::emulation {
namespace {

Fibre* entering = nullptr;  // whose first resume() is under way

void leave_stack([[maybe_unused]] void** saved, [[maybe_unused]] const void* bottom,
                 [[maybe_unused]] size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(saved, bottom, bytes);
#endif
}

void arrive_on_stack([[maybe_unused]] void* saved, [[maybe_unused]] const void** bottom,
                     [[maybe_unused]] size_t* bytes) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(saved, bottom, bytes);
#endif
}

}  // namespace

#ifdef __x86_64__
// swapcontext() without its system call: saves what a call must preserve.
extern "C" void kvcast_switch_stack(void** from, void* to);
asm(R"(
.text
.globl kvcast_switch_stack
.type kvcast_switch_stack, @function
kvcast_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size kvcast_switch_stack, .-kvcast_switch_stack
)");

namespace {

void* prepare(std::byte* stack, size_t bytes, void (*entry)()) {
  // Six registers and the entry's address; the stack is aligned to 16 before a call.
  auto top = reinterpret_cast<uintptr_t>(stack + bytes) / 16 * 16;
  auto* const frame = reinterpret_cast<uintptr_t*>(top) - 8;
  std::memset(frame, 0, 8 * sizeof(uintptr_t));
  frame[6] = reinterpret_cast<uintptr_t>(entry);
  return frame;
}

void switch_stack(void** from, void* to) {
  kvcast_switch_stack(from, to);
}

}  // namespace
#else
namespace {

void* prepare(std::byte* stack, size_t bytes, void (*entry)()) {
  auto* const context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = stack;
  context->uc_stack.ss_size = bytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

void switch_stack(void** from, void* to) {
  ucontext_t here;
  *from = &here;
  ucontext_t* const there = static_cast<ucontext_t*>(to);
  swapcontext(&here, there);
}

}  // namespace
#endif

Fibre::Fibre() : stack_(std::make_unique<std::byte[]>(kStackBytes)) {}

void Fibre::start(const std::function<void()>* body) {
  body_ = body;
  inside_ = prepare(stack_.get(), kStackBytes, enter);
}

void Fibre::enter() {
  Fibre* const self = entering;
  arrive_on_stack(nullptr, &self->outer_stack_, &self->outer_bytes_);
  (*self->body_)();
  self->body_ = nullptr;
  leave_stack(nullptr, self->outer_stack_, self->outer_bytes_);
  switch_stack(&self->inside_, self->outside_);
}

void Fibre::resume() {
  entering = this;
  void* saved = nullptr;
  leave_stack(&saved, stack_.get(), kStackBytes);
  switch_stack(&outside_, inside_);
  arrive_on_stack(saved, nullptr, nullptr);
}

void Fibre::suspend() {
  void* saved = nullptr;
  leave_stack(&saved, outer_stack_, outer_bytes_);
  switch_stack(&inside_, outside_);
  arrive_on_stack(saved, &outer_stack_, &outer_bytes_);
}

}  // namespace kvcast::kernels::emulation
