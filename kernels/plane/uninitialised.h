// A vector of numbers whose constructor and resize() leave new elements unset, and that begins at a
// cache line: for large buffers that are filled anyway, with vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvcast::kernels {

template <typename T>
struct UninitialisedAllocator {
  static_assert(std::is_trivially_default_constructible_v<T>);
  static constexpr std::align_val_t kAlignment{64};
  using value_type = T;

  UninitialisedAllocator() = default;
  template <typename U>
  UninitialisedAllocator(const UninitialisedAllocator<U>&) noexcept {}
  bool operator==(const UninitialisedAllocator&) const = default;

  T* allocate(size_t count) {
    if (count > static_cast<size_t>(PTRDIFF_MAX) / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(::operator new(count * sizeof(T), kAlignment));
  }
  void deallocate(T* place, size_t) noexcept { ::operator delete(place, kAlignment); }

  template <typename U>
  void construct(U* place) noexcept {
    ::new (static_cast<void*>(place)) U;
  }
  template <typename U, typename... Args>
  void construct(U* place, Args&&... args) {
    ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
  }
};

template <typename T>
using UninitialisedVector = std::vector<T, UninitialisedAllocator<T>>;

}  // namespace kvcast::kernels
