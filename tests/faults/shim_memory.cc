// Allocations: `new` throws, `malloc` (of C libraries, not what `new` asks for) answers none.
#include <cerrno>
#include <cstdlib>
#include <new>

#include "tests/faults/shim.h"

extern "C" {
// glibc's own, under the names it keeps for those who replace the others.
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);
}

namespace {

bool may(shim::Call call) {
  return shim::strike(call) != shim::Verdict::kFail;
}

bool may_for(const void* caller) {
  return !shim::counts_for_memory(caller) || may(shim::Call::kMalloc);
}

// __cxa_allocate_exception must not be what runs out of memory: it has a pool of its own, once.
void* allocate(size_t bytes, size_t alignment, bool throws) {
  void* memory = nullptr;
  if (may(shim::Call::kNew)) {
    memory = alignment > 0 ? __libc_memalign(alignment, bytes) : __libc_malloc(bytes);
  }
  if (!memory && throws) throw std::bad_alloc();
  return memory;
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) {
  if (may_for(__builtin_return_address(0))) return __libc_malloc(bytes);
  errno = ENOMEM;
  return nullptr;
}

void* calloc(size_t count, size_t bytes) {
  if (may_for(__builtin_return_address(0))) return __libc_calloc(count, bytes);
  errno = ENOMEM;
  return nullptr;
}

void* realloc(void* memory, size_t bytes) {
  if (may_for(__builtin_return_address(0))) return __libc_realloc(memory, bytes);
  errno = ENOMEM;
  return nullptr;
}

}  // extern "C"

void* operator new(size_t bytes) {
  return allocate(bytes, 0, true);
}
void* operator new[](size_t bytes) {
  return allocate(bytes, 0, true);
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes, 0, false);
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes, 0, false);
}
void* operator new(size_t bytes, std::align_val_t to) {
  return allocate(bytes, static_cast<size_t>(to), true);
}
void* operator new[](size_t bytes, std::align_val_t to) {
  return allocate(bytes, static_cast<size_t>(to), true);
}
void operator delete(void* memory) noexcept {
  __libc_free(memory);
}
void operator delete[](void* memory) noexcept {
  __libc_free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  __libc_free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  __libc_free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  __libc_free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  __libc_free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  __libc_free(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  __libc_free(memory);
}
